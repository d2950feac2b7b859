// What Rust needs beyond MLIR's own C API: our dialects, hooks for ops, passes whose bodies are in Rust, and the driver.
#ifndef TPUC_CAPI_TPUC_H
#define TPUC_CAPI_TPUC_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

MlirDialectHandle mlirGetDialectHandle__top__(void);
MlirDialectHandle mlirGetDialectHandle__tpu__(void);

// Answers of ops. verify and inferShapes return 1 for success and have emitted a diagnostic otherwise.
typedef struct TpucOpHooks {
  int (*verify)(MlirOperation op);
  int (*inferShapes)(MlirOperation op);
  int64_t (*getFLOPs)(MlirOperation op);
} TpucOpHooks;
void tpucSetOpHooks(TpucOpHooks hooks);

// The InferenceInterface of an op; false where it does not have one.
bool tpucInferShapes(MlirOperation op, bool *succeeded);
bool tpucGetFLOPs(MlirOperation op, int64_t *flops);

typedef struct TpucPassOption {
  MlirStringRef name;
  MlirStringRef description;
  MlirStringRef defaultValue;
  bool isFlag;
} TpucPassOption;

// run returns 1 for success; values has one string per option.
typedef struct TpucPass {
  MlirStringRef argument;
  MlirStringRef summary;
  MlirStringRef opName;
  const TpucPassOption *options;
  intptr_t optionCount;
  const void *data;
  int (*run)(const void *data, MlirOperation op, const MlirStringRef *values, intptr_t valueCount);
} TpucPass;

// Registers a pass under its argument. The description must stay alive for ever.
void tpucRegisterPass(const TpucPass *pass);

// The values of an array of integers, as many as it has elements. False if it has others.
bool tpucIntegerArrayGetValues(MlirAttribute array, int64_t *values);

// What the driver asks the other side. begin sees the input before it is parsed, write gets the output; both return 1 for success
// and have said why otherwise. "-" stands for the standard streams.
typedef struct TpucOptHooks {
  int (*begin)(MlirStringRef inputFile, MlirStringRef outputFile, MlirStringRef content);
  int (*write)(MlirStringRef outputFile, MlirStringRef content);
} TpucOptHooks;

// An mlir-opt for our dialects. Returns the exit code.
int tpucOptMain(int argc, char **argv, MlirDialectRegistry registry, TpucOptHooks hooks);

#ifdef __cplusplus
}
#endif

#endif
