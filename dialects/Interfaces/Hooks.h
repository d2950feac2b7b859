// The doors from generated C++ to Rust. Rust sets the hooks once, before any op is created.
#ifndef TPUC_INTERFACES_HOOKS_H
#define TPUC_INTERFACES_HOOKS_H

#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/Operation.h"
#include "llvm/Support/LogicalResult.h"

namespace tpuc {
llvm::LogicalResult rustVerify(mlir::Operation *op);
llvm::LogicalResult rustInferShapes(mlir::Operation *op);
int64_t rustGetFLOPs(mlir::Operation *op);

// Whether an attribute is an array of signless 64-bit integers.
bool isI64Array(mlir::Attribute attribute);
} // namespace tpuc

#include "Interfaces/InferenceInterface.h.inc"

#endif
