//! What stands between the bytes of a picture and the network: Preprocess (Top), ScaleLut, SwapChannel, Yuv2rgbFormula (Tpu).

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view::{ElementType, Slice, SliceMut};
use tpuc_kernels::preprocess::{Chroma, yuv_to_planes};
use tpuc_kernels::{Ints, KernelError, Layout};
use tpuc_ops::preprocess::Frames;
use tpuc_ops::{top, tpu};

/// The bytes of an operand.
fn bytes<'a>(operands: &[Option<Slice<'a>>]) -> Result<&'a [u8], KernelError> {
    match operand(operands, 0)?.ints()? {
        Ints::U8(x) => Ok(x),
        Ints::I8(_) => Err(KernelError::Geometry("frames are bytes without a sign".into())),
    }
}

fn chroma(src_format: u32) -> Option<Chroma> {
    match src_format {
        0 => Some(Chroma::Planar),
        2 => Some(Chroma::Uv),
        3 => Some(Chroma::Vu),
        _ => None,
    }
}

/// Frames to `(x - mean) * scale` in f32, as pictures are preprocessed outside of the network.
pub(crate) fn prepare_whole(op: &top::Preprocess, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.element(0)? != ElementType::U8 || request.result_element()? != ElementType::F32 {
        return Err(request.unsupported("takes bytes and gives f32"));
    }
    let frames = Frames::of(op, &request.result.shape).map_err(|r| request.unsupported(r))?;
    let result = request.result.dims();
    let (batch, [h, w]) = (result[0], frames.size.map(|s| s as usize));
    let frame = request.shape(0)?.iter().product::<usize>() / batch;
    let yuv = frames.format.yuv_layout().and_then(chroma);
    let (packed, bgr) = (frames.format.is_packed(), op.channel_order == "bgr");
    let channels = if packed || yuv.is_some() { 3 } else { frame / (h * w) };
    let table = |c: usize| std::array::from_fn::<f32, 256, _>(|x| (x as f32 - op.mean[c] as f32) * op.scale[c] as f32);
    let tables: Vec<[f32; 256]> = (0..frames.channels.len()).map(table).collect();
    let (sources, [top, left]) = (frames.channels.iter().map(|&c| c as usize).collect::<Vec<_>>(), frames.crop.map(|c| c as usize));
    let (rows, columns) = (result[2], result[3]);
    let kernel = boxed(move |operands, y, _| {
        let (x, y) = (bytes(operands)?, y.floats()?);
        let mut planes = vec![0; if yuv.is_some() { 3 * h * w } else { 0 }];
        for (x, y) in x.chunks_exact(frame).zip(y.chunks_exact_mut(sources.len() * rows * columns)) {
            let x = match yuv {
                Some(chroma) => {
                    yuv_to_planes(x, [h, w], chroma, bgr, &mut planes)?;
                    &planes
                }
                None => x,
            };
            let (pixel, plane) = if packed { (channels, 1) } else { (1, h * w) };
            for ((&source, table), y) in sources.iter().zip(&tables).zip(y.chunks_exact_mut(rows * columns)) {
                for (row, y) in y.chunks_exact_mut(columns).enumerate() {
                    let first = source * plane + ((top + row) * w + left) * pixel;
                    for (y, x) in y.iter_mut().zip(x[first..].iter().step_by(pixel)) {
                        *y = table[usize::from(*x)];
                    }
                }
            }
        }
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor)], result: Layout::RowMajor })
}

/// A table a channel; the byte is the index.
pub(crate) fn prepare_table(request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.element(0)? != ElementType::U8 {
        return Err(request.unsupported("takes bytes without a sign"));
    }
    let table = request.bytes(1)?.ok_or_else(|| request.unsupported("needs its table as a weight"))?;
    let (shape, result) = (request.shape(0)?, request.result_element()?);
    let (channels, plane) = (shape[1], shape[2..].iter().product::<usize>());
    let (low, high) = match result {
        ElementType::I8 => (-128, 127),
        ElementType::U8 => (0, 255),
        other => return Err(request.unsupported(format!("has a result of {}, expected 8-bit integers", other.dtype()))),
    };
    if let Some(value) = table.iter().find(|v| !(low..=high).contains(*v)) {
        return Err(request.unsupported(format!("has a table with {value} for a result of {}", result.dtype())));
    }
    let kernel = boxed(move |operands, mut y, _| {
        for (index, x) in bytes(operands)?.chunks_exact(plane).enumerate() {
            let table = &table[index % channels * 256..][..256];
            let at = index * plane;
            match &mut y {
                SliceMut::I8(y) => y[at..at + plane].iter_mut().zip(x).for_each(|(y, &x)| *y = table[usize::from(x)] as i8),
                SliceMut::U8(y) => y[at..at + plane].iter_mut().zip(x).for_each(|(y, &x)| *y = table[usize::from(x)] as u8),
                _ => return Err(KernelError::Geometry("a result that is not of 8 bits".into())),
            }
        }
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor), None], result: Layout::RowMajor })
}

pub(crate) fn prepare_yuv(op: &tpu::Yuv2rgbFormula, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let known = (op.formula_mode, op.image_format, op.round_mode) == (tpu::Yuv2rgbFormulaMode::_601_limited, tpu::ImageOutFormat::UINT8, tpu::RoundMode::HalfAwayFromZero);
    if !known || request.element(0)? != ElementType::U8 || request.result_element()? != ElementType::U8 {
        return Err(request.unsupported("runs as _601_limited, from bytes to bytes, halves away from zero"));
    }
    let chroma = chroma(op.src_format).ok_or_else(|| request.unsupported(format!("does not know src_format {}", op.src_format)))?;
    let (result, bgr) = (request.result.dims(), op.dst_format == 5);
    let size = [result[2], result[3]];
    let (frame, planes) = (size[0] * size[1] * 3 / 2, size[0] * size[1] * 3);
    let kernel = boxed(move |operands, y, _| {
        let x = bytes(operands)?;
        let SliceMut::U8(y) = y else { return Err(KernelError::Geometry("a result that is not of bytes".into())) };
        x.chunks_exact(frame).zip(y.chunks_exact_mut(planes)).try_for_each(|(x, y)| yuv_to_planes(x, size, chroma, bgr, y))
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor)], result: Layout::RowMajor })
}
