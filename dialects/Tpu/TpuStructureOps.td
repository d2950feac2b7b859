// Ops of the Tpu dialect that move, pool, resize, reduce and normalize, and those with weights that are not in TpuOps.td.
// Part of TpuOps.td.
//
// Operands that only some chip has (buffers, tables) are none elsewhere. What the ops of one name mean is said in the Top
// dialect: geometry and attributes are the same.
#ifndef TPUC_TPU_STRUCTURE_OPS
#define TPUC_TPU_STRUCTURE_OPS

//===-- Movement, in the storage type -------------------------------------------------------------------------------===//

def Tpu_PermuteOp : Tpu_Op<"Permute"> {
  let summary = "Dimensions in another order";
  let arguments = (ins AnyRankedTensor:$input, I64ArrayAttr:$order, AnyTensorOrNone:$buffer);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_SliceOp : Tpu_Op<"Slice"> {
  let summary = "Every step-th element of a range, along every dimension";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$offsetT,
    AnyTensorOrNone:$endsT,
    AnyTensorOrNone:$stepsT,
    AnyTensorOrNone:$buffer,
    I64ArrayAttr:$offset,
    I64ArrayAttr:$steps,
    I64ArrayAttr:$ends,
    DefaultValuedAttr<I64ArrayAttr, "{}">:$axes,
    DefaultValuedAttr<I64ArrayAttr, "{}">:$hasparamConvert_axes
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ConcatOp : Tpu_Op<"Concat"> {
  let summary = "Tensors one behind the other along an axis";
  let description = [{
    BM1684X and BM1684: the inputs have the scale of the result. CV18xx: `multipliers` and `rshifts` bring each to it. `only_merge`: inputs may lie
    where the result has them.
  }];
  let arguments = (ins
    Variadic<AnyRankedTensor>:$inputs,
    DefaultValuedAttr<SI32Attr, "1">:$axis,
    DefaultValuedAttr<BoolAttr, "false">:$only_merge,
    OptionalAttr<ChannelI64ArrayAttr>:$multipliers,
    OptionalAttr<ChannelI64ArrayAttr>:$rshifts,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<StrAttr>:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_SqueezeOp : Tpu_Op<"Squeeze"> {
  let summary = "Without some or all dimensions of size 1";
  let arguments = (ins AnyRankedTensor:$input, I64ArrayAttr:$axes, OptionalAttr<BoolAttr>:$is_scalar);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_UnsqueezeOp : Tpu_Op<"Unsqueeze"> {
  let summary = "With further dimensions of size 1";
  let arguments = (ins AnyRankedTensor:$input, I64ArrayAttr:$axes);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_TileOp : Tpu_Op<"Tile"> {
  let summary = "Repeated along every dimension";
  let arguments = (ins AnyRankedTensor:$input, AnyTensorOrNone:$buffer, DefaultValuedAttr<I64ArrayAttr, "{}">:$tile);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_GatherOp : Tpu_Op<"Gather"> {
  let summary = "Slices of the input by index";
  let description = [{ Indices that are weights are i32. `if_neg_index`: some may count from the end. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$indices,
    AnyTensorOrNone:$buffer,
    DefaultValuedAttr<SI32Attr, "0">:$axis,
    DefaultValuedAttr<BoolAttr, "true">:$if_neg_index,
    DefaultValuedAttr<BoolAttr, "false">:$is_lora,
    OptionalAttr<BoolAttr>:$is_scalar,
    OptionalAttr<BoolAttr>:$keepdims
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_Depth2SpaceOp : Tpu_Op<"Depth2Space"> {
  let summary = "Blocks of channels become blocks of pixels, or back";
  let arguments = (ins
    AnyRankedTensor:$input,
    I64Attr:$block_h,
    I64Attr:$block_w,
    BoolAttr:$is_CRD,
    BoolAttr:$is_inversed,
    DefaultValuedAttr<BoolAttr, "true">:$in_is_NCHW,
    DefaultValuedAttr<BoolAttr, "true">:$out_is_NCHW,
    DefaultValuedAttr<BoolAttr, "false">:$swap_cr
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ReverseOp : Tpu_Op<"Reverse"> {
  let summary = "One dimension from back to front";
  let arguments = (ins AnyRankedTensor:$input, I64Attr:$axis);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_PadOp : Tpu_Op<"Pad"> {
  let summary = "Padding at the borders, in the storage type";
  let description = [{ Of integers `val` is the constant in the tensor's own steps. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$paddingsT,
    AnyTensorOrNone:$left_select,
    AnyTensorOrNone:$right_select,
    AnyTensorOrNone:$buffer,
    I64ArrayAttr:$paddings,
    DefaultValuedAttr<F64Attr, "0.0">:$val,
    DefaultValuedAttr<Tpu_PaddingModeAttr, "::tpuc::tpu::PaddingMode::constant">:$mode,
    DefaultValuedAttr<BoolAttr, "false">:$with_insert_zero,
    OptionalAttr<I64ArrayAttr>:$insert_zeros
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Pooling and resizing ----------------------------------------------------------------------------------------===//

class Tpu_PoolOp<string mnemonic> : Tpu_Op<mnemonic> {
  let description = [{ INT8 mean: the window's sum times `multiplier`, shifted by `rshift` (halves up). }];
  let arguments = (ins
    AnyRankedTensor:$input,
    I64ArrayAttr:$kernel_shape,
    I64ArrayAttr:$strides,
    I64ArrayAttr:$pads,
    Tpu_PoolModeAttr:$pool_mode,
    DefaultValuedAttr<BoolAttr, "false">:$is_adaptive,
    DefaultValuedAttr<BoolAttr, "true">:$keepdims,
    DefaultValuedAttr<I64Attr, "0">:$pad_value,
    DefaultValuedAttr<BoolAttr, "false">:$count_include_pad,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<SI32Attr>:$multiplier,
    OptionalAttr<SI32Attr>:$rshift,
    OptionalAttr<F64Attr>:$scale,
    OptionalAttr<F64Attr>:$offset,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$first_round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_Pool1DOp : Tpu_PoolOp<"Pool1D"> { let summary = "Maximum or mean over a sliding window of one dimension"; }
def Tpu_Pool2DOp : Tpu_PoolOp<"Pool2D"> { let summary = "Maximum or mean over a sliding window"; }

def Tpu_Pool3DOp : Tpu_Op<"Pool3D"> {
  let summary = "Maximum or mean over a sliding window of three dimensions";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$buffer,
    I64ArrayAttr:$kernel_shape,
    I64ArrayAttr:$strides,
    I64ArrayAttr:$pads,
    Tpu_PoolModeAttr:$pool_mode,
    DefaultValuedAttr<BoolAttr, "false">:$is_adaptive,
    DefaultValuedAttr<BoolAttr, "true">:$keepdims,
    DefaultValuedAttr<I64Attr, "0">:$pad_value,
    DefaultValuedAttr<BoolAttr, "false">:$count_include_pad,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    OptionalAttr<SI32Attr>:$multiplier,
    OptionalAttr<SI32Attr>:$rshift,
    OptionalAttr<F64Attr>:$scale,
    OptionalAttr<F64Attr>:$offset,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$first_round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_UpsampleOp : Tpu_Op<"Upsample"> {
  let summary = "Every pixel repeated";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$indices,
    I64Attr:$scale_h,
    I64Attr:$scale_w,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_InterpOp : Tpu_Op<"Interp"> {
  let summary = "Resized over the spatial dimensions, by the nearest pixel or linearly; in floats";
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$shapeT,
    AnyTensorOrNone:$buffer,
    F64Attr:$scale_h,
    F64Attr:$scale_w,
    Tpu_ResizeModeAttr:$mode,
    Tpu_ResizeCoordModeAttr:$coord_mode,
    DefaultValuedAttr<BoolAttr, "false">:$ppl_flag
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Reduction and normalization ---------------------------------------------------------------------------------===//

def Tpu_ReduceOp : Tpu_Op<"Reduce"> {
  let summary = "Mean, sum, extremum, product or norm over some dimensions";
  let description = [{ BM: in floats. CV18xx: integers, with one entry in `multiplier` and `rshift`. }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$buffer,
    AnyTensorOrNone:$reciprocal_mantissa_table,
    I64ArrayAttr:$axes,
    BoolAttr:$keepdims,
    StrAttr:$mode,
    OptionalAttr<BoolAttr>:$is_scalar,
    OptionalAttr<ChannelI64ArrayAttr>:$multiplier,
    OptionalAttr<ChannelI64ArrayAttr>:$rshift
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_ArgOp : Tpu_Op<"Arg"> {
  let summary = "Where along an axis the extremum is";
  let arguments = (ins
    AnyRankedTensor:$input,
    I64Attr:$axis,
    BoolAttr:$keepdims,
    StrAttr:$mode,
    DefaultValuedAttr<BoolAttr, "true">:$select_last_index,
    DefaultValuedAttr<BoolAttr, "false">:$use_int_input
  );
  let results = (outs AnyRankedTensor:$indices, AnyTensorOrNone:$values);
}

class Tpu_NormOp<string mnemonic, dag geometry> : Tpu_Op<mnemonic> {
  let arguments = !con((ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$weight,
    AnyTensorOrNone:$bias,
    AnyTensorOrNone:$table,
    AnyTensorOrNone:$mantissa_table
  ), geometry, (ins F64Attr:$eps));
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_LayerNormOp : Tpu_NormOp<"LayerNorm", (ins I64ArrayAttr:$normalized_shape, SI32Attr:$axis)> {
  let summary = "Normalized over the dimensions from axis on, in floats";
}
def Tpu_InstanceNormOp : Tpu_NormOp<"InstanceNorm", (ins)> { let summary = "Every channel of every image normalized, in floats"; }
def Tpu_GroupNormOp : Tpu_NormOp<"GroupNorm", (ins I64Attr:$num_groups)> { let summary = "Every group of channels normalized, in floats"; }

//===-- Linear ------------------------------------------------------------------------------------------------------===//

class Tpu_TransposedConvOp<string mnemonic> : Tpu_Op<mnemonic> {
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$filter,
    AnyTensorOrNone:$bias,
    I64ArrayAttr:$kernel_shape,
    I64ArrayAttr:$strides,
    I64ArrayAttr:$pads,
    DefaultValuedAttr<I64Attr, "1">:$group,
    OptionalAttr<I64ArrayAttr>:$dilations,
    OptionalAttr<I64ArrayAttr>:$output_padding,
    OptionalAttr<I64ArrayAttr>:$inserts,
    OptionalAttr<BoolAttr>:$dynweight_reorderd,
    DefaultValuedAttr<BoolAttr, "false">:$do_relu,
    DefaultValuedAttr<F64Attr, "-1.0">:$relu_limit,
    BoolAttr:$with_bias,
    OptionalAttr<ChannelI64ArrayAttr>:$multiplier,
    OptionalAttr<ChannelI64ArrayAttr>:$rshift,
    DefaultValuedAttr<Tpu_RequantModeAttr, "::tpuc::tpu::RequantMode::MultiplierShift">:$quant_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_DeconvOp : Tpu_TransposedConvOp<"Deconv"> {
  let summary = "Transposed convolution";
  let description = [{ BM1684X: integer sums, which RequantIntAxis scales. BM1684 and CV18xx scale them here. }];
}
def Tpu_Deconv3DOp : Tpu_TransposedConvOp<"Deconv3D"> { let summary = "Transposed convolution of three dimensions"; }

def Tpu_Conv3DOp : Tpu_Op<"Conv3D"> {
  let summary = "Convolution of three dimensions";
  let description = [{ Integer sums, which RequantIntAxis scales; or floats. }];
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
    OptionalAttr<BoolAttr>:$dynweight_reorderd,
    OptionalAttr<I64Attr>:$weight_is_coeff,
    BoolAttr:$with_bias,
    DefaultValuedAttr<I64Attr, "0">:$kernel_zp,
    OptionalAttr<ChannelI64ArrayAttr>:$multiplier,
    OptionalAttr<ChannelI64ArrayAttr>:$rshift,
    DefaultValuedAttr<Tpu_RequantModeAttr, "::tpuc::tpu::RequantMode::MultiplierShift">:$quant_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfUp">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_AttentionOp : Tpu_Op<"Attention"> {
  let summary = "One head of an attention: projections, softmax(q k^T scale) v, and its part of the output projection";
  let description = [{
    INT8: `quant_param` has multiplier, shift and zero point of the requantization of queries, keys, values, their product and that of
    probabilities and values, then a zero; the result is int32, the sum over heads is scaled by RequantInt. `table` has
    exponentials of 0 to -255 steps of the scaled product. `has_bias`: bits 0 to 3 for queries, keys, values, output.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyTensorOrNone:$keys,
    AnyTensorOrNone:$values,
    AnyRankedTensor:$queries_weight,
    AnyTensorOrNone:$queries_bias,
    AnyTensorOrNone:$keys_weight,
    AnyTensorOrNone:$keys_bias,
    AnyTensorOrNone:$values_weight,
    AnyTensorOrNone:$values_bias,
    AnyRankedTensor:$out_weight,
    AnyTensorOrNone:$out_bias,
    AnyTensorOrNone:$mask,
    AnyTensorOrNone:$table,
    DefaultValuedAttr<I64ArrayAttr, "{0}">:$quant_param,
    OptionalAttr<F64ArrayAttr>:$scale_param,
    OptionalAttr<I64ArrayAttr>:$zp_param,
    F64Attr:$scale,
    I64Attr:$head,
    I64Attr:$dim,
    DefaultValuedAttr<I64Attr, "0">:$has_bias,
    OptionalAttr<F64Attr>:$relu_limit
  );
  let results = (outs AnyRankedTensor:$output);
}

//===-- Pictures in front of a network ------------------------------------------------------------------------------===//

def Tpu_ScaleLutOp : Tpu_Op<"ScaleLut"> {
  let summary = "A table of 256 results for each channel of bytes";
  let description = [{
    `table` [1, C, 16, 16] holds `round(x * scale + bias)`, saturated; `scale` and `bias`, by channel, say where it comes from.
    `sign`: the results are signed.
  }];
  let arguments = (ins
    AnyRankedTensor:$input,
    AnyRankedTensor:$table,
    F64ArrayAttr:$scale,
    F64ArrayAttr:$bias,
    DefaultValuedAttr<BoolAttr, "true">:$sign
  );
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_SwapChannelOp : Tpu_Op<"SwapChannel"> {
  let summary = "Channels in another order";
  let description = [{ Channel c of the result is channel `channel_order[c]` of the input. }];
  let arguments = (ins AnyRankedTensor:$input, I64ArrayAttr:$channel_order);
  let results = (outs AnyRankedTensor:$output);
}

def Tpu_Yuv2rgbFormulaOp : Tpu_Op<"Yuv2rgbFormula"> {
  let summary = "A frame of YUV 4:2:0 as three planes of colour";
  let description = [{
    The frame [N, 1, H * 3 / 2, W] has the luma of every pixel and behind it the chroma of every square of four: `src_format` 0 a plane of U
    and one of V, 2 both interleaved (NV12), 3 interleaved with V first (NV21). `dst_format` 4: RGB, 5: BGR.
  }];
  let arguments = (ins
    AnyRankedTensor:$YUV,
    UI32Attr:$src_format,
    UI32Attr:$dst_format,
    Tpu_ImageOutFormatAttr:$image_format,
    Tpu_Yuv2rgbFormulaModeAttr:$formula_mode,
    DefaultValuedAttr<Tpu_RoundModeAttr, "::tpuc::tpu::RoundMode::HalfAwayFromZero">:$round_mode
  );
  let results = (outs AnyRankedTensor:$output);
}

#endif
