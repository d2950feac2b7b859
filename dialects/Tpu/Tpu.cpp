#include "Tpu/Tpu.h"
#include "llvm/ADT/TypeSwitch.h"

#define GET_OP_CLASSES
#include "Tpu/TpuOps.h.inc"

#include "Tpu/TpuDialect.cpp.inc"
#include "Tpu/TpuEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "Tpu/TpuAttributes.cpp.inc"

#define GET_OP_CLASSES
#include "Tpu/TpuOps.cpp.inc"

void tpuc::tpu::TpuDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "Tpu/TpuAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "Tpu/TpuOps.cpp.inc"
      >();
}
