#ifndef TPUC_TPU_TPU_H
#define TPUC_TPU_TPU_H

#include "Interfaces/Hooks.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "Tpu/TpuDialect.h.inc"
#include "Tpu/TpuEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "Tpu/TpuAttributes.h.inc"

#endif
