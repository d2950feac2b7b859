// Enumerations of the Tpu dialect, printed `#tpu<round_mode HalfUp>` as the vendor's tools print them.
#ifndef TPUC_TPU_ATTRIBUTES
#define TPUC_TPU_ATTRIBUTES

include "mlir/IR/EnumAttr.td"
include "Tpu/TpuDialect.td"

def Tpu_RequantMode : I32EnumAttr<"RequantMode", "How an accumulator is scaled", [
  I32EnumAttrCase<"TFLite_LShift", 0>,
  I32EnumAttrCase<"TFLite", 1>,
  I32EnumAttrCase<"MultiplierShift", 2>,
  I32EnumAttrCase<"OnlyShift", 3>,
  I32EnumAttrCase<"QDM", 4>,
  I32EnumAttrCase<"OnlyScale", 5>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_RequantModeAttr : EnumAttr<Tpu_Dialect, Tpu_RequantMode, "rq_mode">;

def Tpu_RoundMode : I32EnumAttr<"RoundMode", "How a fraction becomes an integer", [
  I32EnumAttrCase<"HalfAwayFromZero", 0>,
  I32EnumAttrCase<"HalfUp", 1>,
  I32EnumAttrCase<"HalfDown", 2>,
  I32EnumAttrCase<"HalfToEven", 3>,
  I32EnumAttrCase<"HalfToOdd", 4>,
  I32EnumAttrCase<"HalfTowardsZero", 5>,
  I32EnumAttrCase<"TowardsZero", 6>,
  I32EnumAttrCase<"Up", 7>,
  I32EnumAttrCase<"Down", 8>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_RoundModeAttr : EnumAttr<Tpu_Dialect, Tpu_RoundMode, "round_mode">;

def Tpu_PoolMode : I32EnumAttr<"PoolMode", "What a window is reduced to", [
  I32EnumAttrCase<"Avg", 0>,
  I32EnumAttrCase<"Max", 1>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_PoolModeAttr : EnumAttr<Tpu_Dialect, Tpu_PoolMode, "pool_mode">;

#endif
