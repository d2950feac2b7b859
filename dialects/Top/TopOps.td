// Ops of the Top dialect. Attribute names and kinds are those of the reference, so that files go both ways.
#ifndef TPUC_TOP_OPS
#define TPUC_TOP_OPS

include "Interfaces/OpBase.td"
include "Top/TopDialect.td"

class Top_Op<string mnemonic, list<Trait> traits = []> : Tpuc_Op<Top_Dialect, mnemonic, traits>;
class Top_ComputeOp<string mnemonic, list<Trait> traits = []> : Tpuc_ComputeOp<Top_Dialect, mnemonic, traits>;

include "Top/TopElementwiseOps.td"

def Top_NoneOp : Top_Op<"None", [Pure]> {
  let summary = "An absent operand";
  let description = [{
    Optional operands are always there and are `top.None` when absent: generic form then needs no segment sizes.
  }];
  let results = (outs NoneType:$output);
}

def Top_WeightOp : Top_Op<"Weight", [Pure]> {
  let summary = "A constant tensor by name";
  let description = [{
    The name of its location is the key in the weight file that `module.weight_file` names. The data stays outside the
    IR: modules stay small and weights are shared between them.
  }];
  let arguments = (ins OptionalAttr<F64ArrayAttr>:$scale, OptionalAttr<BoolAttr>:$do_compress, OptionalAttr<I64ArrayAttr>:$allow_split);
  let results = (outs AnyRankedTensor:$output);
}

def Top_InputOp : Top_ComputeOp<"Input"> {
  let summary = "A network input and how a picture becomes it";
  let description = [{
    Carries the preprocessing that samples go through, so that calibration, deployment and the sample programs agree.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    OptionalAttr<I64ArrayAttr>:$shape_tensor,
    DefaultValuedAttr<BoolAttr, "false">:$do_preprocess,
    OptionalAttr<StrAttr>:$pixel_format,
    OptionalAttr<StrAttr>:$channel_format,
    OptionalAttr<I64ArrayAttr>:$resize_dims,
    OptionalAttr<BoolAttr>:$keep_aspect_ratio,
    OptionalAttr<StrAttr>:$keep_ratio_mode,
    OptionalAttr<I64Attr>:$pad_value,
    OptionalAttr<StrAttr>:$pad_type,
    OptionalAttr<F64ArrayAttr>:$scale,
    OptionalAttr<F64ArrayAttr>:$mean,
    OptionalAttr<StrAttr>:$customization_format,
    OptionalAttr<StrAttr>:$yuv_type,
    OptionalAttr<BoolAttr>:$aligned
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_PreprocessOp : Top_ComputeOp<"Preprocess"> {
  let summary = "The pixels of a picture as the tensor that the network was trained on";
  let description = [{
    `fuse-preprocess` puts it behind a network input of bytes. The pixels arrive as `customization_format` says, of the size
    `resize_dims`; what the network wants is cropped from their centre, its channels are in `channel_order`, and each is
    `(x - mean) * scale`. `quant_mode` decides what it becomes on a chip: a table a channel (INT8), or a cast and a
    depthwise convolution. It is an op of its own so that Top still runs in floats and every chip lowers it its own way.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    StrAttr:$quant_mode,
    StrAttr:$customization_format,
    StrAttr:$channel_order,
    I64ArrayAttr:$resize_dims,
    F64ArrayAttr:$scale,
    F64ArrayAttr:$mean,
    DefaultValuedAttr<BoolAttr, "true">:$sign
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_ConvOp : Top_ComputeOp<"Conv"> {
  let summary = "Convolution over one to three spatial dimensions";
  let description = [{
    Input [N, C, H, W], filter [OC, C/group, KH, KW], bias [OC] or none. `pads` is top, left, bottom, right.
    A following Relu or Clip(0, limit) is folded into `do_relu` and `relu_limit` (-1: no limit), because every
    chip applies it for free.
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
    DefaultValuedAttr<BoolAttr, "false">:$dynweight_reorderd,
    DefaultValuedAttr<I64Attr, "1">:$weight_is_coeff,
    OptionalAttr<F64Attr>:$in_int4_scale,
    OptionalAttr<F64Attr>:$in_int4_zp,
    OptionalAttr<F64Attr>:$out_int8_scale,
    OptionalAttr<F64Attr>:$out_int8_zp,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_MatMulOp : Top_ComputeOp<"MatMul"> {
  let summary = "Matrix product with an optional bias";
  let description = [{
    Input [..., M, K], right [K, N] or [..., K, N] ([..., N, K] with `right_transpose`), bias [N] or none.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$right,
    AnyTensorOrNone:$bias,
    DefaultValuedAttr<BoolAttr, "false">:$left_transpose,
    DefaultValuedAttr<BoolAttr, "false">:$right_transpose,
    DefaultValuedAttr<BoolAttr, "false">:$output_transpose,
    DefaultValuedAttr<BoolAttr, "false">:$hdim_is_batch,
    DefaultValuedAttr<BoolAttr, "true">:$keep_dims,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<BoolAttr, "false">:$is_lora,
    DefaultValuedAttr<StrAttr, "\"NONE\"">:$dq_type,
    DefaultValuedAttr<I64Attr, "0">:$q_group_size,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

class Top_PoolOp<string mnemonic> : Top_ComputeOp<mnemonic> {
  let arguments = (ins
    AnyRankedTensor:$input,
    I64ArrayAttr:$kernel_shape,
    I64ArrayAttr:$strides,
    I64ArrayAttr:$pads,
    OptionalAttr<BoolAttr>:$ceil_mode,
    OptionalAttr<StrAttr>:$auto_pad,
    DefaultValuedAttr<BoolAttr, "false">:$is_adaptive,
    DefaultValuedAttr<BoolAttr, "true">:$keepdims,
    DefaultValuedAttr<I64Attr, "0">:$pad_value,
    DefaultValuedAttr<BoolAttr, "false">:$count_include_pad,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$first_round_mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_AvgPoolOp : Top_PoolOp<"AvgPool"> {
  let summary = "Mean over a sliding window";
  let description = [{ The divisor counts padding taps only with `count_include_pad`. }];
}

def Top_MaxPoolOp : Top_PoolOp<"MaxPool"> {
  let summary = "Maximum over a sliding window";
}

def Top_ReluOp : Top_ComputeOp<"Relu"> {
  let summary = "max(x, 0), with an optional upper limit";
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_ClipOp : Top_ComputeOp<"Clip"> {
  let summary = "Clamp to [min, max]";
  let description = [{ Clip(0, limit) becomes a Relu with a limit when canonicalized, which other ops can absorb. }];
  let arguments = (ins AnyRankedTensor:$inputs, F64Attr:$min, F64Attr:$max, OptionalAttr<StrAttr>:$quantize_mode);
  let results = (outs AnyRankedTensor:$output);
}

def Top_BatchNormOp : Top_ComputeOp<"BatchNorm"> {
  let summary = "Batch normalization with trained statistics";
  let description = [{ mean, variance, gamma, beta are [C] weights. Folded into a preceding Conv, or turned into Scale. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$mean,
    AnyRankedTensor:$variance,
    AnyTensorOrNone:$gamma,
    AnyTensorOrNone:$beta,
    DefaultValuedAttr<F64Attr, "1e-05">:$epsilon,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_ScaleOp : Top_ComputeOp<"Scale"> {
  let summary = "Per-channel y = x * scale + bias";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$scale,
    AnyRankedTensor:$bias,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_PadOp : Top_ComputeOp<"Pad"> {
  let summary = "Padding at the borders";
  let description = [{ `paddings` holds the counts before every dimension, then after every dimension. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    I64ArrayAttr:$paddings,
    DefaultValuedAttr<F64Attr, "0.0">:$val,
    DefaultValuedAttr<StrAttr, "\"constant\"">:$mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_ReshapeOp : Top_ComputeOp<"Reshape"> {
  let summary = "The same elements under another shape";
  let description = [{ In `shape`, 0 keeps a dimension and -1 takes what is left. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    OptionalAttr<I64ArrayAttr>:$shape,
    DefaultValuedAttr<I64Attr, "-1">:$flatten_start_dim,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Top_SoftmaxOp : Top_ComputeOp<"Softmax"> {
  let summary = "exp(beta x) / sum(exp(beta x)) along an axis";
  let arguments = (ins
    AnyRankedTensor:$input,
    SI32Attr:$axis,
    DefaultValuedAttr<BoolAttr, "false">:$log,
    DefaultValuedAttr<F64Attr, "1.0">:$beta,
    DefaultValuedAttr<StrAttr, "\"HalfAwayFromZero\"">:$round_mode,
    OptionalAttr<StrAttr>:$quantize_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

include "Top/TopStructureOps.td"

#endif
