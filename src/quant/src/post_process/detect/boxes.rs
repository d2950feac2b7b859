//! Detections: boxes with a class and a score, which of them cover one another, and how well two lists agree.

/// One found object. The box is `[x1, y1, x2, y2]` in pixels of the network's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    pub corners: [f32; 4],
    /// 0 to 1.
    pub score: f32,
    pub class: usize,
}

impl Detection {
    /// From centre and size, cut to a picture of `[width, height]`; `None` where that leaves no finite box.
    pub fn centred(centre: [f32; 2], size: [f32; 2], picture: [f32; 2], score: f32, class: usize) -> Option<Detection> {
        Detection::new([centre[0] - size[0] / 2.0, centre[1] - size[1] / 2.0, centre[0] + size[0] / 2.0, centre[1] + size[1] / 2.0], picture, score, class)
    }

    pub fn new(corners: [f32; 4], picture: [f32; 2], score: f32, class: usize) -> Option<Detection> {
        if corners.iter().any(|c| c.is_nan()) || !score.is_finite() {
            return None;
        }
        let [x1, y1, x2, y2] = corners;
        Some(Detection { corners: [x1.clamp(0.0, picture[0]), y1.clamp(0.0, picture[1]), x2.clamp(0.0, picture[0]), y2.clamp(0.0, picture[1])], score, class })
    }

    fn area(&self) -> f32 {
        let [x1, y1, x2, y2] = self.corners;
        (x2 - x1).max(0.0) * (y2 - y1).max(0.0)
    }

    /// Intersection over union: 0 apart, 1 equal.
    pub fn overlap(&self, other: &Detection) -> f32 {
        let (a, b) = (self.corners, other.corners);
        let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        let common = width * height;
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { f32::from(a == b) }
    }
}

/// Candidates that suppression looks at, and detections that it leaves.
const MOST_CANDIDATES: usize = 3000;
const MOST_DETECTIONS: usize = 300;

/// Non-maximum suppression a class: of boxes that overlap by more than `threshold` the one with the best score stays. Best first.
pub fn suppressed(mut candidates: Vec<Detection>, threshold: f32) -> Vec<Detection> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(MOST_CANDIDATES);
    let mut kept: Vec<Detection> = Vec::new();
    for candidate in candidates {
        if kept.len() == MOST_DETECTIONS {
            break;
        }
        if !kept.iter().any(|k| k.class == candidate.class && k.overlap(&candidate) > threshold) {
            kept.push(candidate);
        }
    }
    kept
}

/// Inner product of two lists of detections and the squares of their lengths: pairs of the same class, best overlap first, each
/// detection once, count overlap times both scores.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Agreement {
    pub common: f64,
    pub squares: [f64; 2],
}

impl Agreement {
    /// Adds the lists of one picture.
    pub fn add(&mut self, float: &[Detection], own: &[Detection]) {
        let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
        for (i, a) in float.iter().enumerate() {
            pairs.extend(own.iter().enumerate().filter(|(_, b)| b.class == a.class).map(|(j, b)| (a.overlap(b), i, j)).filter(|p| p.0 > 0.0));
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut used, mut taken) = (vec![false; float.len()], vec![false; own.len()]);
        for (overlap, i, j) in pairs {
            if !used[i] && !taken[j] {
                (used[i], taken[j]) = (true, true);
                self.common += f64::from(overlap) * f64::from(float[i].score) * f64::from(own[j].score);
            }
        }
        for (square, list) in self.squares.iter_mut().zip([float, own]) {
            *square += list.iter().map(|d| f64::from(d.score).powi(2)).sum::<f64>();
        }
    }

    /// 1 where both found the same, 0 where they have nothing in common; 1 too where both found nothing.
    pub fn cosine(&self) -> f64 {
        match self.squares {
            [a, b] if a > 0.0 && b > 0.0 => (self.common / (a * b).sqrt()).min(1.0),
            [a, b] => f64::from(a == b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(corners: [f32; 4], score: f32, class: usize) -> Detection {
        Detection { corners, score, class }
    }

    #[test]
    fn the_best_of_overlapping_boxes_stays() {
        let (best, second) = (detection([0.0, 0.0, 10.0, 10.0], 0.9, 0), detection([0.0, 0.0, 10.0, 8.0], 0.8, 0));
        let (other_class, elsewhere) = (detection([0.0, 0.0, 10.0, 8.0], 0.7, 1), detection([20.0, 0.0, 30.0, 10.0], 0.6, 0));
        assert_eq!(best.overlap(&second), 0.8);
        assert_eq!(suppressed(vec![second, elsewhere, other_class, best], 0.5), [best, other_class, elsewhere]);
        assert_eq!(suppressed(vec![second, best], 0.8).len(), 2);
    }

    #[test]
    fn agreement_is_one_for_equals_and_falls_with_overlap() {
        let a = [detection([0.0, 0.0, 10.0, 10.0], 0.9, 0), detection([20.0, 0.0, 30.0, 10.0], 0.5, 1)];
        let cosine = |float: &[Detection], own: &[Detection]| {
            let mut agreement = Agreement::default();
            agreement.add(float, own);
            agreement.cosine()
        };
        assert!((cosine(&a, &[a[1], a[0]]) - 1.0).abs() < 1e-12);
        let moved = detection([0.0, 0.0, 10.0, 8.0], 0.9, 0);
        assert!((cosine(&a[..1], &[moved]) - 0.8).abs() < 1e-6);
        // One of two is missing: 0.81 / (sqrt(0.81 + 0.25) sqrt(0.81)).
        assert!((cosine(&a, &a[..1]) - 0.81 / (1.06f64 * 0.81).sqrt()).abs() < 1e-6);
        assert_eq!(cosine(&a[..1], &[detection(a[0].corners, 0.9, 3)]), 0.0);
        assert_eq!((cosine(&[], &[]), cosine(&a, &[])), (1.0, 0.0));
    }

    #[test]
    fn boxes_that_are_no_numbers_are_none() {
        assert_eq!(Detection::centred([f32::NAN, 0.0], [1.0, 1.0], [8.0, 8.0], 0.5, 0), None);
        assert_eq!(Detection::centred([4.0, 4.0], [f32::INFINITY, 2.0], [8.0, 8.0], 0.5, 0).map(|d| d.corners), Some([0.0, 3.0, 8.0, 5.0]));
    }
}
