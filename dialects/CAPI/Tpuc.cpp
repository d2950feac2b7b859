#include "CAPI/Tpuc.h"
#include "Top/Top.h"
#include "Tpu/Tpu.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Registration.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Top, top, tpuc::top::TopDialect)
MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Tpu, tpu, tpuc::tpu::TpuDialect)

bool tpucInferShapes(MlirOperation op, bool *succeeded) {
  auto interface = llvm::dyn_cast<tpuc::InferenceInterface>(unwrap(op));
  if (!interface)
    return false;
  *succeeded = llvm::succeeded(interface.inferShapes());
  return true;
}

bool tpucGetFLOPs(MlirOperation op, int64_t *flops) {
  auto interface = llvm::dyn_cast<tpuc::InferenceInterface>(unwrap(op));
  if (!interface)
    return false;
  *flops = interface.getFLOPs();
  return true;
}

int tpucOptMain(int argc, char **argv, MlirDialectRegistry registry) {
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "tpuc-opt: compiler passes for Sophgo TPUs\n", *unwrap(registry)));
}
