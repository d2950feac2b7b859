//! The inputs of a network as sample loaders want them.

use std::str::FromStr;
use tpuc_imageio::samples::NetInput;
use tpuc_imageio::yuv::Chroma;
use tpuc_ops::preprocess::FrameFormat;
use tpuc_imageio::preprocess::{ChannelFormat, KeepRatioMode, PadType, PixelFormat, Preprocess};
use tpuc_ops::{Op, Program, top};

/// Name, shape and preprocessing of every input, from its `top.Input`.
pub fn net_inputs(program: &Program) -> Result<Vec<NetInput>, String> {
    let mut inputs = Vec::new();
    for &argument in &program.inputs {
        let reader = program.nodes.iter().find(|n| matches!(n.op, Op::TopInput(_)) && n.operands.contains(&argument));
        let name = program.value(argument).name.clone();
        let Some((Op::TopInput(op), &result)) = reader.and_then(|n| n.results.first().map(|r| (&n.op, r))) else {
            return Err(format!("input '{name}' has no top.Input"));
        };
        let shape = program.tensor_type(result).map(|t| t.dims()).ok_or_else(|| format!("input '{name}' is no tensor"))?;
        let preprocess = preprocess(op, &shape).map_err(|e| format!("input '{name}': {e}"))?;
        inputs.push(NetInput { name, shape, preprocess });
    }
    Ok(inputs)
}

/// How a picture becomes this input; `None` where the input is not a picture.
pub fn preprocess(op: &top::Input, shape: &[usize]) -> Result<Option<Preprocess>, String> {
    let (Some(pixel_format), Some(mean), Some(scale), &[_, a, b, c]) = (&op.pixel_format, &op.mean, &op.scale, shape) else { return Ok(None) };
    fn word<T: FromStr>(text: &Option<String>, default: &str) -> Result<T, String>
    where
        T::Err: std::fmt::Display,
    {
        text.as_deref().filter(|t| !t.is_empty()).unwrap_or(default).parse().map_err(|e: T::Err| e.to_string())
    }
    let channel_format: ChannelFormat = word(&op.channel_format, "nchw")?;
    // Frames that the network preprocesses itself.
    let frame = op.customization_format.as_deref().filter(|f| !f.is_empty()).map(str::parse::<FrameFormat>).transpose().map_err(|e| e.to_string())?;
    let yuv = frame.and_then(chroma);
    let net_dims = match (channel_format, yuv) {
        (_, Some(_)) => [b / 3 * 2, c],
        (ChannelFormat::Nhwc, None) => [a, b],
        (ChannelFormat::Nchw, None) => [b, c],
    };
    let floats = |list: &[f64]| list.iter().map(|&v| v as f32).collect::<Vec<_>>();
    let resize_dims = match op.resize_dims.as_deref() {
        Some(&[h, w]) if h > 0 && w > 0 => [h as usize, w as usize],
        _ => net_dims,
    };
    let preprocess = Preprocess {
        resize_dims,
        keep_aspect_ratio: op.keep_aspect_ratio.unwrap_or(false),
        keep_ratio_mode: word::<KeepRatioMode>(&op.keep_ratio_mode, "letterbox")?,
        pad_value: op.pad_value.unwrap_or(0).clamp(0, 255) as u8,
        pad_type: word::<PadType>(&op.pad_type, "center")?,
        mean: floats(mean),
        scale: floats(scale),
        pixel_format: pixel_format.parse::<PixelFormat>().map_err(|e| e.to_string())?,
        channel_format,
        yuv,
        ..Preprocess::new(net_dims)
    };
    preprocess.validate().map_err(|e| e.to_string())?;
    Ok(Some(preprocess))
}

fn chroma(format: FrameFormat) -> Option<Chroma> {
    match format {
        FrameFormat::Yuv420Planar => Some(Chroma::Planar),
        FrameFormat::YuvNv12 => Some(Chroma::Uv),
        FrameFormat::YuvNv21 => Some(Chroma::Vu),
        _ => None,
    }
}
