//! What a built-in post-process is told by its name: `yolov5`, `yolov3:conf=0.3,nms=0.5`, `yolov5:anchors=10x13;16x30;33x23`.

use tpuc_tensor::text::nearest;

/// The decoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    YoloV3,
    YoloV5,
    YoloX,
    NanoDet,
}

/// Names with their decoders.
pub const FAMILIES: [(&str, Family); 4] = [("yolov3", Family::YoloV3), ("yolov5", Family::YoloV5), ("yolox", Family::YoloX), ("nanodet", Family::NanoDet)];

/// Decoder and thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectOptions {
    pub family: Family,
    /// Boxes with lower scores do not count.
    pub confidence: f32,
    /// Of boxes of a class that overlap by more than this the best stays.
    pub overlap: f32,
    /// Width and height in pixels of every anchor, from the smallest stride on; empty: the family's own.
    pub anchors: Vec<[f32; 2]>,
}

const KEYS: [&str; 3] = ["conf", "nms", "anchors"];

impl DetectOptions {
    /// `None` where the text begins with no built-in's name; an error says what is wrong with an option.
    pub fn parse(text: &str) -> Option<Result<DetectOptions, String>> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let family = FAMILIES.iter().find(|f| f.0 == name)?.1;
        let mut options = DetectOptions { family, confidence: 0.25, overlap: 0.45, anchors: Vec::new() };
        let pairs = rest.split(',').filter(|p| !p.trim().is_empty());
        Some(pairs.map(|pair| options.set(name, pair)).collect::<Result<Vec<()>, String>>().map(|_| options))
    }

    fn set(&mut self, name: &str, pair: &str) -> Result<(), String> {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("{name}: '{pair}' should be key=value"))?;
        let share = || value.trim().parse::<f32>().ok().filter(|v| (0.0..=1.0).contains(v)).ok_or_else(|| format!("{name}: {key} is '{value}', expected a number from 0 to 1"));
        match key.trim() {
            "conf" => self.confidence = share()?,
            "nms" => self.overlap = share()?,
            "anchors" => {
                let size = |text: &str| {
                    let (w, h) = text.split_once('x')?;
                    Some([w.trim().parse().ok()?, h.trim().parse().ok()?])
                };
                let sizes: Option<Vec<[f32; 2]>> = value.split(';').map(size).collect();
                self.anchors = sizes.filter(|s| s.iter().flatten().all(|v| v.is_finite() && *v > 0.0)).ok_or_else(|| format!("{name}: anchors is '{value}', expected sizes such as 10x13;16x30;33x23"))?;
            }
            other => {
                let meant = nearest(other, KEYS.into_iter()).map(|n| format!(", did you mean '{n}'?")).unwrap_or_default();
                return Err(format!("{name}: unknown key '{other}'{meant}; known keys: {}", KEYS.join(", ")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys() {
        assert_eq!(DetectOptions::parse("post.py"), None);
        let options = DetectOptions::parse("yolov3:conf=0.5,anchors=10x14;23x27").unwrap().unwrap();
        assert_eq!(options, DetectOptions { family: Family::YoloV3, confidence: 0.5, overlap: 0.45, anchors: vec![[10.0, 14.0], [23.0, 27.0]] });
        for (text, expected) in [("yolov5:conf", "key=value"), ("yolov5:nms=2", "from 0 to 1"), ("yolov5:anchor=1x1", "did you mean 'anchors'"), ("yolov5:anchors=3", "such as 10x13")] {
            assert!(DetectOptions::parse(text).unwrap().unwrap_err().contains(expected), "{text}");
        }
    }
}
