#include "Top/Top.h"

#define GET_OP_CLASSES
#include "Top/TopOps.h.inc"

#include "Top/TopDialect.cpp.inc"

#define GET_OP_CLASSES
#include "Top/TopOps.cpp.inc"

void tpuc::top::TopDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "Top/TopOps.cpp.inc"
      >();
}
