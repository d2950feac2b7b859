// Elementwise ops of the Top dialect: functions of one tensor, arithmetic of tensors, arithmetic with a constant. Part of
// TopOps.td.
#ifndef TPUC_TOP_ELEMENTWISE_OPS
#define TPUC_TOP_ELEMENTWISE_OPS

//===-- Functions of one tensor -------------------------------------------------------------------------------------===//

class Top_UnaryOp<string mnemonic> : Top_ComputeOp<mnemonic> {
  let arguments = (ins AnyRankedTensor:$input, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_AbsOp : Top_UnaryOp<"Abs"> { let summary = "|x|"; }
def Top_CeilOp : Top_UnaryOp<"Ceil"> { let summary = "Least integer not below x"; }
def Top_CosOp : Top_UnaryOp<"Cos"> { let summary = "cos(x)"; }
def Top_CoshOp : Top_UnaryOp<"Cosh"> { let summary = "cosh(x)"; }
def Top_ErfOp : Top_UnaryOp<"Erf"> { let summary = "Error function"; }
def Top_ExpOp : Top_UnaryOp<"Exp"> { let summary = "exp(x)"; }
def Top_HardSwishOp : Top_UnaryOp<"HardSwish"> { let summary = "x * clamp(x / 6 + 1/2, 0, 1)"; }
def Top_LogOp : Top_UnaryOp<"Log"> { let summary = "Natural logarithm"; }
def Top_MishOp : Top_UnaryOp<"Mish"> { let summary = "x * tanh(softplus(x))"; }
def Top_RoundOp : Top_UnaryOp<"Round"> { let summary = "Nearest integer"; }
def Top_RsqrtOp : Top_UnaryOp<"Rsqrt"> { let summary = "1 / sqrt(x)"; }
def Top_SignOp : Top_UnaryOp<"Sign"> { let summary = "-1, 0 or 1"; }
def Top_SiLUOp : Top_UnaryOp<"SiLU"> { let summary = "x * sigmoid(x)"; }
def Top_SinOp : Top_UnaryOp<"Sin"> { let summary = "sin(x)"; }
def Top_SinhOp : Top_UnaryOp<"Sinh"> { let summary = "sinh(x)"; }
def Top_SoftplusOp : Top_UnaryOp<"Softplus"> { let summary = "ln(exp(x) + 1)"; }
def Top_SoftsignOp : Top_UnaryOp<"Softsign"> { let summary = "x / (1 + |x|)"; }
def Top_SqrtOp : Top_UnaryOp<"Sqrt"> { let summary = "Square root"; }
def Top_TanOp : Top_UnaryOp<"Tan"> { let summary = "tan(x)"; }

def Top_EluOp : Top_ComputeOp<"Elu"> {
  let summary = "x where positive, alpha * (exp(x) - 1) elsewhere";
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$alpha, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_FloorOp : Top_ComputeOp<"Floor"> {
  let summary = "Greatest integer not above x";
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<BoolAttr, "false">:$is_scalar, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_GELUOp : Top_ComputeOp<"GELU"> {
  let summary = "x / 2 * (1 + erf(x / sqrt(2)))";
  let description = [{ `approx_mode` is `normal` for this formula, `tanh` or `sigm` for the approximation by that function. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode,
    DefaultValuedAttr<StrAttr, "\"normal\"">:$approx_mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_HardSigmoidOp : Top_ComputeOp<"HardSigmoid"> {
  let summary = "clamp(alpha * x + beta, 0, 1)";
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$alpha, F64Attr:$beta, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_LeakyReluOp : Top_ComputeOp<"LeakyRelu"> {
  let summary = "x where not negative, alpha * x elsewhere";
  let arguments = (ins
    AnyRankedTensor:$input,
    F64Attr:$alpha,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_PowOp : Top_ComputeOp<"Pow"> {
  let summary = "x to the power of a constant";
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$exponent, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_Pow2Op : Top_ComputeOp<"Pow2"> {
  let summary = "A constant to the power of x";
  let arguments = (ins F64Attr:$const_val, AnyRankedTensor:$input, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_ReciprocalOp : Top_ComputeOp<"Reciprocal"> {
  let summary = "const_val / x";
  let arguments = (ins
    AnyRankedTensor:$input,
    DefaultValuedAttr<F64Attr, "1.0">:$const_val,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_SigmoidOp : Top_ComputeOp<"Sigmoid"> {
  let summary = "scale / (1 + exp(-x)) + bias, or the logarithm of it";
  let arguments = (ins
    AnyRankedTensor:$input,
    DefaultValuedAttr<F64Attr, "1.0">:$scale,
    DefaultValuedAttr<F64Attr, "0.0">:$bias,
    DefaultValuedAttr<BoolAttr, "false">:$log,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_SwishOp : Top_ComputeOp<"Swish"> {
  let summary = "x * sigmoid(beta * x)";
  let arguments = (ins
    AnyRankedTensor:$input,
    F64Attr:$beta,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_TanhOp : Top_ComputeOp<"Tanh"> {
  let summary = "tanh(x)";
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_PReluOp : Top_ComputeOp<"PRelu"> {
  let summary = "x where not negative, slope * x elsewhere";
  let description = [{ `slope` broadcasts to the input; usually it has one element per channel. }];
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$slope, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

//===-- Arithmetic of tensors, with broadcasting --------------------------------------------------------------------===//

def Top_AddOp : Top_ComputeOp<"Add"> {
  let summary = "Elementwise sum of two or more tensors, with broadcasting";
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<F64ArrayAttr>:$coeff,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_SubOp : Top_ComputeOp<"Sub"> {
  let summary = "Elementwise difference, with broadcasting";
  let description = [{ With `is_reverse` the first operand is taken from the second. }];
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$is_reverse,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<F64ArrayAttr>:$coeff,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_MulOp : Top_ComputeOp<"Mul"> {
  let summary = "Elementwise product of two or more tensors, with broadcasting";
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_DivOp : Top_ComputeOp<"Div"> {
  let summary = "Elementwise quotient, with broadcasting";
  let description = [{ With `is_reverse` the second operand is divided by the first. }];
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$is_reverse,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

class Top_ExtremumOp<string mnemonic> : Top_ComputeOp<mnemonic> {
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_MaxOp : Top_ExtremumOp<"Max"> { let summary = "Elementwise maximum of tensors, with broadcasting"; }
def Top_MinOp : Top_ExtremumOp<"Min"> { let summary = "Elementwise minimum of tensors, with broadcasting"; }
def Top_Pow3Op : Top_ExtremumOp<"Pow3"> { let summary = "The first tensor to the power of the second, with broadcasting"; }

//===-- Arithmetic with a constant ----------------------------------------------------------------------------------===//

class Top_ReluConstOp<string mnemonic> : Top_ComputeOp<mnemonic> {
  let arguments = (ins
    AnyRankedTensor:$input,
    F64Attr:$const_val,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_AddConstOp : Top_ReluConstOp<"AddConst"> { let summary = "x + const_val"; }
def Top_MulConstOp : Top_ReluConstOp<"MulConst"> { let summary = "x * const_val"; }

def Top_SubConstOp : Top_ComputeOp<"SubConst"> {
  let summary = "x - const_val, or const_val - x with is_reverse";
  let arguments = (ins
    AnyRankedTensor:$input,
    F64Attr:$const_val,
    DefaultValuedAttr<BoolAttr, "false">:$is_reverse,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<BoolAttr, "false">:$is_scalar,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

class Top_ExtremumConstOp<string mnemonic> : Top_ComputeOp<mnemonic> {
  let arguments = (ins AnyRankedTensor:$input, F64Attr:$const_val, DefaultValuedAttr<BoolAttr, "false">:$is_scalar, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_MaxConstOp : Top_ExtremumConstOp<"MaxConst"> { let summary = "max(x, const_val)"; }
def Top_MinConstOp : Top_ExtremumConstOp<"MinConst"> { let summary = "min(x, const_val)"; }

#endif
