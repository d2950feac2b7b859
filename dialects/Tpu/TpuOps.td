// Ops of the Tpu dialect. Attribute names and kinds are those of the reference, so that files go both ways.
#ifndef TPUC_TPU_OPS
#define TPUC_TPU_OPS

include "Interfaces/OpBase.td"
include "Tpu/TpuAttributes.td"

class Tpu_Op<string mnemonic, list<Trait> traits = []> : Tpuc_ComputeOp<Tpu_Dialect, mnemonic, traits>;

include "Tpu/TpuElementwiseOps.td"
include "Tpu/TpuStructureOps.td"

def Tpu_CastOp : Tpu_Op<"Cast"> {
  let summary = "Another element type for the same values";
  let description = [{ Quantizes, dequantizes, or converts between floats; scale and zero point are in the types. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    DefaultValuedAttr<BoolAttr, "true">:$with_scale,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_Conv2DOp : Tpu_Op<"Conv2D"> {
  let summary = "Two-dimensional convolution with requantization";
  let description = [{
    INT8: y = saturate((sum(w x) + bias) * multiplier >> rshift) with one multiplier and shift an output channel; an
    unsigned result stands for a fused Relu.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$filter,
    AnyTensorOrNone:$bias,
    I64ArrayAttr:$kernel_shape,
    I64ArrayAttr:$strides,
    I64ArrayAttr:$pads,
    DefaultValuedAttr<I64Attr, "1">:$group,
    OptionalAttr<I64ArrayAttr>:$dilations,
    OptionalAttr<I64ArrayAttr>:$inserts,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<BoolAttr>:$do_winograd,
    DefaultValuedAttr<BoolAttr, "false">:$with_bias,
    DefaultValuedAttr<BoolAttr, "false">:$coeff_merged,
    DefaultValuedAttr<I64Attr, "0">:$use_3ic_optimize,
    DefaultValuedAttr<I64Attr, "0">:$kernel_zp,
    DefaultValuedAttr<BoolAttr, "false">:$dynweight_reorderd,
    DefaultValuedAttr<I64Attr, "1">:$weight_is_coeff,
    DefaultValuedAttr<BoolAttr, "true">:$support_compress,
    OptionalAttr<ChannelI64ArrayAttr>:$multiplier,
    OptionalAttr<ChannelI64ArrayAttr>:$rshift,
    DefaultValuedAttr<Tpu_RequantModeAttr, "::tpuc::tpu::RequantMode::MultiplierShift">:$quant_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_MatMulOp : Tpu_Op<"MatMul"> {
  let summary = "Matrix product with requantization";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$right,
    AnyTensorOrNone:$bias,
    AnyTensorOrNone:$multi,
    AnyTensorOrNone:$buffer,
    DefaultValuedAttr<BoolAttr, "false">:$left_transpose,
    DefaultValuedAttr<BoolAttr, "false">:$right_transpose,
    DefaultValuedAttr<BoolAttr, "false">:$output_transpose,
    DefaultValuedAttr<BoolAttr, "false">:$hdim_is_batch,
    DefaultValuedAttr<BoolAttr, "true">:$keep_dims,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<BoolAttr, "false">:$is_lora,
    OptionalAttr<BoolAttr>:$cal_i8,
    DefaultValuedAttr<BoolAttr, "false">:$fuse_rq,
    DefaultValuedAttr<I64Attr, "0">:$input_zp,
    DefaultValuedAttr<I64Attr, "0">:$right_zp,
    DefaultValuedAttr<I64Attr, "0">:$left_reuse,
    DefaultValuedAttr<StrAttr, "\"NONE\"">:$dq_type,
    DefaultValuedAttr<I64Attr, "0">:$q_group_size,
    DefaultValuedAttr<ChannelI64ArrayAttr, "{1}">:$multipliers,
    DefaultValuedAttr<ChannelI64ArrayAttr, "{0}">:$rshifts,
    DefaultValuedAttr<Tpu_RequantModeAttr, "::tpuc::tpu::RequantMode::MultiplierShift">:$quant_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_A16MatMulOp : Tpu_Op<"A16MatMul"> {
  let summary = "Product of float activations and weights of 8 or 4 bits, which have a scale and a zero point for each group";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$weight,
    AnyRankedTensor:$scale,
    AnyRankedTensor:$zp,
    AnyTensorOrNone:$bias,
    DefaultValuedAttr<BoolAttr, "true">:$sign,
    DefaultValuedAttr<BoolAttr, "true">:$w_transpose,
    DefaultValuedAttr<I64Attr, "8">:$weight_bits,
    DefaultValuedAttr<I64Attr, "0">:$q_group_size,
    DefaultValuedAttr<StrAttr, "\"NONE\"">:$dq_type
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_AddOp : Tpu_Op<"Add"> {
  let summary = "Elementwise sum, each input with its own multiplier and shift";
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<BoolAttr>:$is_scalar,
    OptionalAttr<F64ArrayAttr>:$coeff,
    OptionalAttr<ChannelI64ArrayAttr>:$multipliers,
    OptionalAttr<ChannelI64ArrayAttr>:$rshifts
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ReluOp : Tpu_Op<"Relu"> {
  let summary = "max(x, 0) within one scale";
  let arguments = (ins
    AnyRankedTensor:$input,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<SI32Attr>:$multiplier,
    OptionalAttr<SI32Attr>:$rshift
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ReshapeOp : Tpu_Op<"Reshape"> {
  let summary = "The same elements under another shape";
  let arguments = (ins
    AnyRankedTensor:$input,
    OptionalAttr<I64ArrayAttr>:$shape,
    DefaultValuedAttr<I64Attr, "-1">:$flatten_start_dim
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_SoftmaxOp : Tpu_Op<"Softmax"> {
  let summary = "Softmax through a table of exponentials";
  let description = [{
    INT8: `table[d]` is exp(-beta * scale * d) in f32; p = table[max - x] / (sum * output scale), rounded to u8.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$table,
    AnyTensorOrNone:$slope_table,
    AnyTensorOrNone:$reciprocal_table,
    AnyTensorOrNone:$reciprocal_mantissa_table,
    AnyTensorOrNone:$buffer,
    SI32Attr:$axis,
    DefaultValuedAttr<BoolAttr, "false">:$log,
    DefaultValuedAttr<F64Attr, "1.0">:$beta,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

#endif
