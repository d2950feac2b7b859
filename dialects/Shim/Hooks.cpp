#include "CAPI/Tpuc.h"
#include "Interfaces/Hooks.h"
#include "mlir/CAPI/IR.h"

#include "Interfaces/InferenceInterface.cpp.inc"

static TpucOpHooks hooks = {nullptr, nullptr, nullptr};

void tpucSetOpHooks(TpucOpHooks newHooks) { hooks = newHooks; }

llvm::LogicalResult tpuc::rustVerify(mlir::Operation *op) {
  return llvm::success(!hooks.verify || hooks.verify(wrap(op)));
}

llvm::LogicalResult tpuc::rustInferShapes(mlir::Operation *op) {
  return llvm::success(hooks.inferShapes && hooks.inferShapes(wrap(op)));
}

int64_t tpuc::rustGetFLOPs(mlir::Operation *op) {
  return hooks.getFLOPs ? hooks.getFLOPs(wrap(op)) : 0;
}
