#include "CAPI/Tpuc.h"
#include "Top/Top.h"
#include "Tpu/Tpu.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Registration.h"
#include "mlir/CAPI/Support.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

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

bool tpucIntegerArrayGetValues(MlirAttribute array, int64_t *values) {
  for (mlir::Attribute element : llvm::cast<mlir::ArrayAttr>(unwrap(array)).getValue()) {
    auto integer = llvm::dyn_cast<mlir::IntegerAttr>(element);
    if (!integer || integer.getValue().getSignificantBits() > 64)
      return false;
    *values++ = integer.getValue().getSExtValue();
  }
  return true;
}

int tpucOptMain(int argc, char **argv, MlirDialectRegistry registry, TpucOptHooks hooks) {
  llvm::InitLLVM init(argc, argv);
  auto [input, output] = mlir::registerAndParseCLIOptions(argc, argv, "tpuc-opt: compiler passes for Sophgo TPUs\n", *unwrap(registry));
  auto config = mlir::MlirOptMainConfig::createFromCLOptions();
  if (config.shouldShowDialects() || config.shouldListPasses())
    return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, input, output, *unwrap(registry)));
  std::string message, text;
  auto buffer = mlir::openInputFile(input, &message);
  if (!buffer) {
    llvm::errs() << "tpuc-opt: error: " << message << "\n";
    return EXIT_FAILURE;
  }
  if (!hooks.begin(wrap(llvm::StringRef(input)), wrap(llvm::StringRef(output)), wrap(buffer->getBuffer())))
    return EXIT_FAILURE;
  // Passes work on whole modules: locks around attributes would only cost time. (The option --mlir-disable-threading leaves them.)
  config.setPassPipelineSetupFn([original = config](mlir::PassManager &passes) {
    passes.getContext()->disableMultithreading();
    return original.setupPassPipeline(passes);
  });
  llvm::raw_string_ostream stream(text);
  if (failed(mlir::MlirOptMain(stream, std::move(buffer), *unwrap(registry), config)))
    return EXIT_FAILURE;
  return hooks.write(wrap(llvm::StringRef(output)), wrap(llvm::StringRef(text))) ? EXIT_SUCCESS : EXIT_FAILURE;
}
