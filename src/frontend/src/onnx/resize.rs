//! Resize, Upsample.

use super::Importer;
use super::node::OnnxNode;
use tpuc_ops::{ValueId, top};
use tpuc_tensor::Tensor;

impl Importer<'_> {
    pub(super) fn resize(&mut self, node: &OnnxNode) -> Result<ValueId, String> {
        let input = self.value(node.need(0)?)?;
        let shape = self.shape(input).to_vec();
        let plain = self.opset < 11 || node.op() == "Upsample";
        let scales_at = if plain { 1 } else { 2 };
        if node.ints("axes").is_some() || !matches!(node.text("keep_aspect_ratio_policy").as_deref(), None | Some("stretch")) {
            return Err("selected axes and aspect ratio policies are not supported".into());
        }
        let scales = match node.input(scales_at).map(|name| self.constant(name).ok_or_else(|| format!("its scales '{name}' are not constant"))).transpose()? {
            Some(tensor) if !tensor.is_empty() => Some(tensor.to_f32()),
            _ => node.floats("scales").map(<[f32]>::to_vec),
        };
        let sizes = if scales.is_none() && !plain { self.integers(node, 3, "sizes")? } else { None };
        let factors: Vec<f64> = match (&scales, &sizes) {
            (Some(list), _) if list.len() == shape.len() => list.iter().map(|&s| f64::from(s)).collect(),
            (None, Some(list)) if list.len() == shape.len() => list.iter().zip(&shape).map(|(&n, &s)| n as f64 / s as f64).collect(),
            _ => return Err(format!("it needs scales or sizes for {} dimensions", shape.len())),
        };
        if !(3..=4).contains(&shape.len()) || factors[..2] != [1.0, 1.0] {
            return Err(format!("only the last dimensions of three or four are resized, found {shape:?} by {factors:?}"));
        }
        if factors.iter().all(|&f| f == 1.0) {
            return Ok(input);
        }
        let target = match &sizes {
            Some(list) => list.clone(),
            None => shape.iter().zip(&factors).map(|(&s, f)| (s as f64 * f).floor() as i64).collect(),
        };
        if target.iter().any(|&s| !(1..1 << 24).contains(&s)) {
            return Err(format!("cannot resize {shape:?} to {target:?}"));
        }
        let mode = node.text("mode").unwrap_or_else(|| "nearest".into());
        let coord = if plain { "asymmetric".into() } else { node.text("coordinate_transformation_mode").unwrap_or_else(|| "half_pixel".into()) };
        match mode.as_str() {
            "nearest" => self.nearest(node, input, &coord, &factors, &target, plain),
            "linear" | "bilinear" if tpuc_ops::resize::COORD_MODES.contains(&coord.as_str()) => self.interp(node, input, "linear", &coord, &factors),
            "linear" | "bilinear" => Err(format!("coordinate transformation '{coord}' is not supported")),
            other => Err(format!("mode '{other}' is not supported, only nearest and linear")),
        }
    }

    fn interp(&mut self, node: &OnnxNode, input: ValueId, mode: &str, coord: &str, factors: &[f64]) -> Result<ValueId, String> {
        let [.., h, w] = factors else { return Err("it needs two factors".into()) };
        let scale_h = if factors.len() == 3 { -1.0 } else { *h };
        let op = top::Interp { mode: mode.into(), coord_mode: coord.into(), scale_h, scale_w: *w, ..Default::default() };
        let none = self.program.none();
        self.push(op, &[input, none], &node.layer)
    }

    /// Which pixel is nearest is decided here, where ONNX says how it rounds. Where Interp does not round so, pixels are gathered.
    fn nearest(&mut self, node: &OnnxNode, input: ValueId, coord: &str, factors: &[f64], target: &[i64], plain: bool) -> Result<ValueId, String> {
        let shape = self.shape(input).to_vec();
        let rounding = if plain { "floor".into() } else { node.text("nearest_mode").unwrap_or_else(|| "round_prefer_floor".into()) };
        let mut maps = Vec::new();
        for d in 2..shape.len() {
            maps.push((0..target[d]).map(|i| source(i, shape[d], target[d], factors[d], coord, &rounding)).collect::<Result<Vec<_>, _>>()?);
        }
        // The model's own word first.
        let modes = [coord].into_iter().filter(|c| tpuc_ops::resize::COORD_MODES.contains(c)).chain(tpuc_ops::resize::COORD_MODES);
        let same = |mode: &&str| (2..shape.len()).all(|d| tpuc_ops::resize::nearest(mode, shape[d], target[d]) == maps[d - 2]);
        if let Some(mode) = modes.into_iter().find(same) {
            return self.interp(node, input, "nearest", mode, factors);
        }
        let mut value = input;
        for (i, map) in maps.into_iter().enumerate() {
            let last = i + 3 == shape.len();
            let layer = if last { node.layer.clone() } else { format!("{}_rows", node.layer) };
            let list = Tensor::f32(&[map.len()], map.iter().map(|&m| m as f32).collect()).map_err(|e| e.to_string())?;
            let indices = self.weight(&format!("{layer}_indices"), &list)?;
            value = self.push(top::Gather { axis: (i + 2) as i32, ..Default::default() }, &[value, indices], &layer)?;
        }
        Ok(value)
    }
}

/// The input position that pixel `i` takes (ONNX, Resize).
fn source(i: i64, size: i64, target: i64, factor: f64, coord: &str, rounding: &str) -> Result<i64, String> {
    let x = i as f64;
    let at = match coord {
        "half_pixel" => (x + 0.5) / factor - 0.5,
        "pytorch_half_pixel" if target == 1 => 0.0,
        "pytorch_half_pixel" => (x + 0.5) / factor - 0.5,
        "align_corners" if target == 1 => 0.0,
        "align_corners" => x * (size - 1) as f64 / (target - 1) as f64,
        "asymmetric" => x / factor,
        "tf_half_pixel_for_nn" => (x + 0.5) / factor,
        other => return Err(format!("coordinate transformation '{other}' is not supported")),
    };
    let rounded = match rounding {
        "round_prefer_floor" => (at - 0.5).ceil(),
        "round_prefer_ceil" => (at + 0.5).floor(),
        "floor" => at.floor(),
        "ceil" => at.ceil(),
        other => return Err(format!("nearest_mode '{other}' is unknown")),
    };
    Ok((rounded as i64).clamp(0, size - 1))
}
