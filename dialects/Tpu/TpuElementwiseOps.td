// Elementwise ops of the Tpu dialect: functions of one tensor, arithmetic of tensors, arithmetic with a constant, choice.
// Part of TpuOps.td.
//
// `is_scalar` and other attributes that are optional here without a meaning for the chip are what the reference leaves on
// an op that it lowers; they are kept so that files compare.
#ifndef TPUC_TPU_ELEMENTWISE_OPS
#define TPUC_TPU_ELEMENTWISE_OPS

//===-- Functions of one tensor -------------------------------------------------------------------------------------===//

def Tpu_ActiveOp : Tpu_Op<"Active"> {
  let summary = "A function of one tensor";
  let description = [{
    `coeffs` are the function's parameters: ELU [alpha], HSIGMOID [beta, alpha], SWISH [beta]. Of integers there is only ABSVAL.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    Tpu_ActiveModeAttr:$mode,
    OptionalAttr<F64ArrayAttr>:$coeffs,
    OptionalAttr<F64Attr>:$scale,
    OptionalAttr<F64Attr>:$bias,
    OptionalAttr<BoolAttr>:$log,
    OptionalAttr<BoolAttr>:$is_scalar
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_LutOp : Tpu_Op<"Lut"> {
  let summary = "A function of an 8-bit integer by table";
  let description = [{ The byte of the input is the index: 0 to 127, then (of a signed input) -128 to -1. }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$table);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_LutBF16Op : Tpu_Op<"LutBF16"> {
  let summary = "A function of a bf16 by table and slopes, or by exponent and mantissa";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$table,
    AnyTensorOrNone:$mantissa,
    DefaultValuedAttr<F64Attr, "8.0">:$max_range,
    DefaultValuedAttr<F64Attr, "-8.0">:$min_range,
    DefaultValuedAttr<Tpu_LutBF16ModeAttr, "::tpuc::tpu::LutBF16Mode::Other">:$lut_mode,
    OptionalAttr<F64Attr>:$alpha,
    OptionalAttr<StrAttr>:$approx_mode,
    OptionalAttr<F64Attr>:$bias,
    OptionalAttr<F64Attr>:$const_val,
    OptionalAttr<BoolAttr>:$do_relu,
    OptionalAttr<F64Attr>:$relu_limit,
    OptionalAttr<BoolAttr>:$is_reverse,
    OptionalAttr<BoolAttr>:$is_scalar,
    OptionalAttr<BoolAttr>:$log,
    OptionalAttr<F64Attr>:$scale
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ClipOp : Tpu_Op<"Clip"> {
  let summary = "Clamp to [min, max]";
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$min, F64Attr:$max);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ReciprocalOp : Tpu_Op<"Reciprocal"> {
  let summary = "const_val / x";
  let arguments = (ins
    AnyRankedTensor:$input,
    DefaultValuedAttr<F64Attr, "1.0">:$const_val,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_LeakyReluOp : Tpu_Op<"LeakyRelu"> {
  let summary = "x where not negative, a multiple of x elsewhere";
  let description = [{
    Floats have `alpha`. Integers have `multiplier` and `rshift` for negative values where input and result share their scale; with
    `multiplier_neg` and `rshift_neg` those are for negative values, and the others for the rest.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    OptionalAttr<F64Attr>:$alpha,
    OptionalAttr<SI32Attr>:$multiplier,
    OptionalAttr<SI32Attr>:$multiplier_neg,
    OptionalAttr<SI32Attr>:$rshift,
    OptionalAttr<SI32Attr>:$rshift_neg,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_PReluOp : Tpu_Op<"PReluOp"> {
  let summary = "x where not negative, slope * x elsewhere";
  let description = [{ Integer slopes share `rshift`; `multiplier_pos` and `rshift_pos` scale what is not negative, where present. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$slope,
    DefaultValuedAttr<SI32Attr, "0">:$rshift,
    OptionalAttr<SI32Attr>:$rshift_pos,
    OptionalAttr<SI32Attr>:$multiplier_pos
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ScaleOp : Tpu_Op<"Scale"> {
  let summary = "x * scale + bias per channel";
  let description = [{ BM1684: integers, (x * scale + bias) >> lshift per channel. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$scale,
    AnyTensorOrNone:$bias,
    AnyTensorOrNone:$lshift,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Arithmetic of tensors, with broadcasting --------------------------------------------------------------------===//

def Tpu_SubOp : Tpu_Op<"Sub"> {
  let summary = "Elementwise difference, each input with its own multiplier and shift";
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$is_reverse,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<F64ArrayAttr>:$coeff,
    OptionalAttr<ChannelI64ArrayAttr>:$multipliers,
    OptionalAttr<ChannelI64ArrayAttr>:$rshifts,
    OptionalAttr<BoolAttr>:$is_scalar
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_MulOp : Tpu_Op<"Mul"> {
  let summary = "Elementwise product with requantization";
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<SI32Attr, "1">:$multiplier,
    DefaultValuedAttr<SI32Attr, "0">:$rshift,
    DefaultValuedAttr<Tpu_RequantModeAttr, "::tpuc::tpu::RequantMode::MultiplierShift">:$quant_mode,
    OptionalAttr<BoolAttr>:$is_scalar
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_DivOp : Tpu_Op<"Div"> {
  let summary = "Elementwise quotient, in floats";
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$is_reverse,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<SI32Attr, "1">:$multiplier,
    DefaultValuedAttr<SI32Attr, "0">:$rshift,
    OptionalAttr<BoolAttr>:$is_scalar
  );
  let results = (outs AnyRankedTensor:$output);
}

class Tpu_ExtremumOp<string mnemonic> : Tpu_Op<mnemonic> {
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<F64ArrayAttr>:$coeff,
    OptionalAttr<ChannelI64ArrayAttr>:$multipliers,
    OptionalAttr<ChannelI64ArrayAttr>:$rshifts
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_MaxOp : Tpu_ExtremumOp<"Max"> { let summary = "Elementwise maximum, each input brought to the result's scale"; }
def Tpu_MinOp : Tpu_ExtremumOp<"Min"> { let summary = "Elementwise minimum, each input brought to the result's scale"; }

//===-- Arithmetic with a constant ----------------------------------------------------------------------------------===//

class Tpu_SumConstOp<string mnemonic, dag more> : Tpu_Op<mnemonic> {
  let arguments = !con((ins AnyRankedTensor:$input, F64Attr:$const_val), more, (ins
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<SI32Attr, "1">:$multiplier,
    DefaultValuedAttr<SI32Attr, "0">:$rshift,
    DefaultValuedAttr<F64Attr, "1.0">:$f8_scale,
    OptionalAttr<BoolAttr>:$is_scalar
  ));
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_AddConstOp : Tpu_SumConstOp<"AddConst", (ins)> {
  let summary = "x + const_val";
  let description = [{ Integers: (x * multiplier + const_val) >> rshift. }];
}

def Tpu_SubConstOp : Tpu_SumConstOp<"SubConst", (ins DefaultValuedAttr<BoolAttr, "false">:$is_reverse)> {
  let summary = "x - const_val, or const_val - x with is_reverse";
  let description = [{ Integers: (x * multiplier - const_val) >> rshift, or the other way round. }];
}

class Tpu_ScaleConstOp<string mnemonic> : Tpu_Op<mnemonic> {
  let arguments = (ins
    AnyRankedTensor:$input,
    F64Attr:$const_val,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<SI32Attr, "1">:$multiplier,
    DefaultValuedAttr<SI32Attr, "0">:$rshift,
    OptionalAttr<BoolAttr>:$is_scalar
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_MulConstOp : Tpu_ScaleConstOp<"MulConst"> { let summary = "x * const_val"; }
def Tpu_MaxConstOp : Tpu_ScaleConstOp<"MaxConst"> { let summary = "max(x, const_val)"; }
def Tpu_MinConstOp : Tpu_ScaleConstOp<"MinConst"> { let summary = "min(x, const_val)"; }

def Tpu_MulShiftOp : Tpu_Op<"MulShift"> {
  let summary = "x * multiplier >> rshift: another scale";
  let arguments = (ins
    AnyRankedTensor:$input,
    SI32Attr:$multiplier,
    SI32Attr:$rshift,
    OptionalAttr<F64Attr>:$const_val,
    OptionalAttr<BoolAttr>:$do_relu,
    OptionalAttr<F64Attr>:$relu_limit,
    OptionalAttr<BoolAttr>:$is_scalar
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_RequantIntOp : Tpu_Op<"RequantInt"> {
  let summary = "Wide integers to 8 bits by one multiplier and shift";
  let arguments = (ins
    AnyRankedTensor:$input,
    SI32Attr:$multiplier,
    SI32Attr:$rshift,
    Tpu_RequantModeAttr:$quant_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_RequantIntAxisOp : Tpu_Op<"RequantIntAxis"> {
  let summary = "Wide integers to 8 bits by a multiplier, shift and zero point per index of an axis";
  let description = [{
    `quant` has a row [multiplier, -rshift, zero point] for each; or [multiplier, the other two as the lower and upper 16 bits of a word].
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$quant,
    Tpu_RequantModeAttr:$quant_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode,
    DefaultValuedAttr<SI32Attr, "1">:$rq_axis,
    DefaultValuedAttr<BoolAttr, "false">:$fuse_rq_axis
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Comparison and choice ---------------------------------------------------------------------------------------===//

def Tpu_CompareOp : Tpu_Op<"Compare"> {
  let summary = "1 where a relation holds, else 0, with broadcasting";
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs, StrAttr:$mode);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_CompareConstOp : Tpu_Op<"CompareConst"> {
  let summary = "1 where a relation to a constant holds, else 0";
  let arguments = (ins AnyRankedTensor:$input, StrAttr:$mode, F64Attr:$const_val, BoolAttr:$inversed, OptionalAttr<BoolAttr>:$is_scalar);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_WhereOp : Tpu_Op<"Where"> {
  let summary = "Elements of one tensor where a condition is not 0, of another elsewhere, with broadcasting";
  let arguments = (ins
    AnyRankedTensor:$cond,
    AnyTensorOrNone:$tbrn,
    AnyTensorOrNone:$fbrn,
    DefaultValuedAttr<BoolAttr, "false">:$x_is_const,
    DefaultValuedAttr<BoolAttr, "false">:$y_is_const,
    DefaultValuedAttr<F64Attr, "0.0">:$x_const_val,
    DefaultValuedAttr<F64Attr, "0.0">:$y_const_val,
    AnyTensorOrNone:$buffer
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_MaskedFillOp : Tpu_Op<"MaskedFill"> {
  let summary = "A constant where a condition is not 0 (with inversed: where it is 0), a tensor elsewhere";
  let arguments = (ins AnyRankedTensor:$cond, AnyRankedTensor:$brn, BoolAttr:$inversed, F64Attr:$const_val);
  let results = (outs AnyRankedTensor:$output);
}

#endif
