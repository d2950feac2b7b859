#include "CAPI/Tpuc.h"
#include "Interfaces/Hooks.h"
#include "mlir/CAPI/IR.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"

#include "Interfaces/InferenceInterface.cpp.inc"

static TpucOpHooks hooks = {nullptr, nullptr, nullptr};

void tpucSetOpHooks(TpucOpHooks newHooks) { hooks = newHooks; }

llvm::LogicalResult tpuc::rustVerify(mlir::Operation *op) {
  return llvm::success(!hooks.verify || hooks.verify(wrap(op)));
}

llvm::LogicalResult tpuc::rustInferShapes(mlir::Operation *op) {
  return llvm::success(hooks.inferShapes && hooks.inferShapes(wrap(op)));
}

bool tpuc::isI64Array(mlir::Attribute attribute) {
  auto array = llvm::dyn_cast<mlir::ArrayAttr>(attribute);
  if (!array)
    return false;
  // Types are unique, so that comparing them is comparing addresses.
  mlir::Type i64 = mlir::IntegerType::get(array.getContext(), 64);
  return llvm::all_of(array.getValue(), [i64](mlir::Attribute element) {
    auto integer = llvm::dyn_cast_or_null<mlir::IntegerAttr>(element);
    return integer && integer.getType() == i64;
  });
}

int64_t tpuc::rustGetFLOPs(mlir::Operation *op) {
  return hooks.getFLOPs ? hooks.getFLOPs(wrap(op)) : 0;
}
