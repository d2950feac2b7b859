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

def Tpu_PaddingMode : I32EnumAttr<"PaddingMode", "What stands in the border", [
  I32EnumAttrCase<"constant", 0>,
  I32EnumAttrCase<"reflect", 1>,
  I32EnumAttrCase<"symmetric", 2>,
  I32EnumAttrCase<"edge", 3>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_PaddingModeAttr : EnumAttr<Tpu_Dialect, Tpu_PaddingMode, "Pad_Mode">;

def Tpu_ResizeMode : I32EnumAttr<"ResizeMode", "How a pixel between pixels is found", [
  I32EnumAttrCase<"nearest", 0>,
  I32EnumAttrCase<"linear", 1>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_ResizeModeAttr : EnumAttr<Tpu_Dialect, Tpu_ResizeMode, "mode">;

def Tpu_ResizeCoordMode : I32EnumAttr<"ResizeCoordMode", "Which position of the input a pixel of the result has", [
  I32EnumAttrCase<"align_corners", 0>,
  I32EnumAttrCase<"half_pixel", 1>,
  I32EnumAttrCase<"pytorch_half_pixel", 2>,
  I32EnumAttrCase<"asymmetric", 3>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_ResizeCoordModeAttr : EnumAttr<Tpu_Dialect, Tpu_ResizeCoordMode, "coord_mode">;

def Tpu_ActiveMode : I32EnumAttr<"ActiveMode", "A function of one tensor; TGELU and QGELU approximate GELU by tanh and by a sigmoid", [
  I32EnumAttrCase<"TANH", 0>,
  I32EnumAttrCase<"SIGMOID", 1>,
  I32EnumAttrCase<"RELU", 2>,
  I32EnumAttrCase<"EXP", 3>,
  I32EnumAttrCase<"ELU", 4>,
  I32EnumAttrCase<"SQRT", 5>,
  I32EnumAttrCase<"SQUARE", 6>,
  I32EnumAttrCase<"RSQRT", 7>,
  I32EnumAttrCase<"ABSVAL", 8>,
  I32EnumAttrCase<"LN", 9>,
  I32EnumAttrCase<"ROUND", 10>,
  I32EnumAttrCase<"CEIL", 11>,
  I32EnumAttrCase<"FLOOR", 12>,
  I32EnumAttrCase<"SIN", 13>,
  I32EnumAttrCase<"COS", 14>,
  I32EnumAttrCase<"IS_FINITE", 15>,
  I32EnumAttrCase<"MISH", 16>,
  I32EnumAttrCase<"SWISH", 17>,
  I32EnumAttrCase<"HSWISH", 18>,
  I32EnumAttrCase<"SILU", 19>,
  I32EnumAttrCase<"ARCSIN", 20>,
  I32EnumAttrCase<"ARCCOS", 21>,
  I32EnumAttrCase<"ARCSINH", 22>,
  I32EnumAttrCase<"ARCCOSH", 23>,
  I32EnumAttrCase<"ARCTANH", 24>,
  I32EnumAttrCase<"SINH", 25>,
  I32EnumAttrCase<"COSH", 26>,
  I32EnumAttrCase<"TAN", 27>,
  I32EnumAttrCase<"SIGN", 28>,
  I32EnumAttrCase<"GELU", 29>,
  I32EnumAttrCase<"ERF", 30>,
  I32EnumAttrCase<"HSIGMOID", 31>,
  I32EnumAttrCase<"LOG_SIGMOID", 32>,
  I32EnumAttrCase<"SOFT_PLUS", 33>,
  I32EnumAttrCase<"SOFT_SIGN", 34>,
  I32EnumAttrCase<"LOG2", 35>,
  I32EnumAttrCase<"TGELU", 36>,
  I32EnumAttrCase<"QGELU", 37>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_ActiveModeAttr : EnumAttr<Tpu_Dialect, Tpu_ActiveMode, "active_mode">;

def Tpu_LutBF16Mode : I32EnumAttr<"LutBF16Mode", "How a bf16 table is read", [
  I32EnumAttrCase<"Other", 0>,
  I32EnumAttrCase<"Mantissa", 1>,
  I32EnumAttrCase<"Slope", 2>,
  I32EnumAttrCase<"Log", 3>,
  I32EnumAttrCase<"Exp", 4>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_LutBF16ModeAttr : EnumAttr<Tpu_Dialect, Tpu_LutBF16Mode, "lut_mode">;

def Tpu_Yuv2rgbFormulaMode : I32EnumAttr<"Yuv2rgbFormulaMode", "Which matrix and range of luma a conversion from YUV has", [
  I32EnumAttrCase<"_601_limited", 0>,
  I32EnumAttrCase<"_601_full", 1>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_Yuv2rgbFormulaModeAttr : EnumAttr<Tpu_Dialect, Tpu_Yuv2rgbFormulaMode, "yuv2rgb_formula_mode">;

def Tpu_ImageOutFormat : I32EnumAttr<"ImageOutFormat", "What the elements of a picture are", [
  I32EnumAttrCase<"FLOAT32", 0>,
  I32EnumAttrCase<"UINT8", 1>
]> { let genSpecializedAttr = 0; let cppNamespace = "::tpuc::tpu"; }
def Tpu_ImageOutFormatAttr : EnumAttr<Tpu_Dialect, Tpu_ImageOutFormat, "image_out_format">;

#endif
