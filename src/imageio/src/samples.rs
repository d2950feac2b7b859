//! Which files are calibration samples, in which order, and loading them.
//!
//! A dataset directory is searched recursively (not through linked directories), sorted by path, shuffled as CPython does with the seed 1684, and cut
//! to the wanted number, so that the choice equals the reference's (`spec/calibration.md` section 1). A list file keeps its order.

use crate::image::ImageError;
use crate::preprocess::{Preprocess, PreprocessError};
use crate::python_random::PythonRandom;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use tpuc_tensor::file::{self, FileError};
use tpuc_tensor::tensor::ShapeMismatch;
use tpuc_tensor::{Data, Tensor, npz};

/// The seed of the shuffle.
pub const SHUFFLE_SEED: u64 = 1684;

/// What the files of a dataset are; all files of one dataset are of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    Image,
    Npy,
    Npz,
    Yuv,
}

impl SampleKind {
    /// The kind that the file name's extension says, in any case of letters; `None` for other files.
    pub fn of(path: &Path) -> Option<SampleKind> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "jfif" | "png" | "bmp" => Some(SampleKind::Image),
            "npy" => Some(SampleKind::Npy),
            "npz" => Some(SampleKind::Npz),
            "yuv" => Some(SampleKind::Yuv),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            SampleKind::Image => "image",
            SampleKind::Npy => "npy",
            SampleKind::Npz => "npz",
            SampleKind::Yuv => "yuv",
        }
    }
}

/// The extensions that [`SampleKind::of`] knows, for messages.
const EXTENSIONS: &str = "jpg, jpeg, jfif, png, bmp, npy, npz, yuv";

#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("{}: no sample files in this directory; expected files ending in {}", path.display(), EXTENSIONS)]
    EmptyDataset { path: PathBuf },
    #[error("{}: the list has no sample", path.display())]
    EmptyList { path: PathBuf },
    #[error("{}: {} of the listed files are missing:{}", path.display(), missing.len(), missing.iter().map(|(line, file)| format!("\n  line {line}: {}", file.display())).collect::<String>())]
    Missing {
        path: PathBuf,
        missing: Vec<(usize, PathBuf)>,
    },
    #[error("{}:{line}: '{}' is not a sample file; expected a name ending in {}", path.display(), file.display(), EXTENSIONS)]
    UnknownKind {
        path: PathBuf,
        line: usize,
        file: PathBuf,
    },
    #[error("{}: samples must be of one kind, but {} is {} and {} is {}", path.display(), first.display(), first_kind.name(), other.display(), other_kind.name())]
    MixedKinds {
        path: PathBuf,
        first: PathBuf,
        first_kind: SampleKind,
        other: PathBuf,
        other_kind: SampleKind,
    },
    #[error("{}: a sample has {found} files, but the network has {expected} inputs ({})", path.display(), names.join(", "))]
    InputCount {
        path: PathBuf,
        found: usize,
        expected: usize,
        names: Vec<String>,
    },
    #[error("{}: a sample has {found} npz files; expected one file with an array for each input", path.display())]
    OneNpz { path: PathBuf, found: usize },
    #[error("{}: no array '{name}'; the file has: {}", path.display(), found.join(", "))]
    MissingArray {
        path: PathBuf,
        name: String,
        found: Vec<String>,
    },
    #[error("{}: the array for input '{name}' has shape {found:?}, expected {expected:?}", path.display())]
    Shape {
        path: PathBuf,
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("{}: the arrays of one batch for input '{name}' differ in element type", path.display())]
    MixedTypes { path: PathBuf, name: String },
    #[error("{}: input '{name}' has no picture preprocessing, so it needs npz or npy samples", path.display())]
    NoPreprocess { path: PathBuf, name: String },
    #[error("{}: yuv samples are not supported; convert them to png or npz", path.display())]
    Yuv { path: PathBuf },
    #[error("{}: {reason}", path.display())]
    Preprocess {
        path: PathBuf,
        reason: PreprocessError,
    },
    #[error("{}: {reason}", path.display())]
    Tensor {
        path: PathBuf,
        reason: ShapeMismatch,
    },
}

/// The chosen samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    kind: SampleKind,
    entries: Vec<Vec<PathBuf>>,
}

impl Samples {
    /// Every sample file below `dir`, shuffled, the first `input_num` of them (0: all).
    pub fn from_dataset(dir: &Path, input_num: usize) -> Result<Samples, SampleError> {
        let mut files = Vec::new();
        collect_files(dir, &mut files)?;
        // As strings, not by path components: `a.png` comes before `a/b.png`.
        files.sort_by(|a, b| {
            a.as_os_str()
                .as_encoded_bytes()
                .cmp(b.as_os_str().as_encoded_bytes())
        });
        PythonRandom::new(SHUFFLE_SEED).shuffle(&mut files);
        keep_first(&mut files, input_num);
        let kind = one_kind(dir, files.iter())?.ok_or_else(|| SampleError::EmptyDataset {
            path: dir.to_path_buf(),
        })?;
        Ok(Samples {
            kind,
            entries: files.into_iter().map(|file| vec![file]).collect(),
        })
    }

    /// The first `input_num` (0: all) lines of a list file. A line is one sample: one file, or one a network input,
    /// separated by commas. Blank lines are skipped.
    pub fn from_data_list(list: &Path, input_num: usize) -> Result<Samples, SampleError> {
        let text = file::read_to_string(list)?;
        let mut lines: Vec<(usize, Vec<PathBuf>)> = text
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| {
                (
                    number,
                    line.split(',')
                        .map(str::trim)
                        .filter(|f| !f.is_empty())
                        .map(PathBuf::from)
                        .collect(),
                )
            })
            .filter(|(_, files): &(usize, Vec<PathBuf>)| !files.is_empty())
            .collect();
        keep_first(&mut lines, input_num);
        let files = || {
            lines
                .iter()
                .flat_map(|(line, files)| files.iter().map(move |file| (*line, file)))
        };
        if let Some((line, file)) = files().find(|(_, file)| SampleKind::of(file).is_none()) {
            return Err(SampleError::UnknownKind {
                path: list.to_path_buf(),
                line,
                file: file.clone(),
            });
        }
        let missing: Vec<(usize, PathBuf)> = files()
            .filter(|(_, f)| !f.is_file())
            .map(|(line, f)| (line, f.clone()))
            .collect();
        if !missing.is_empty() {
            return Err(SampleError::Missing {
                path: list.to_path_buf(),
                missing,
            });
        }
        let kind = one_kind(list, files().map(|(_, file)| file))?.ok_or_else(|| {
            SampleError::EmptyList {
                path: list.to_path_buf(),
            }
        })?;
        Ok(Samples {
            kind,
            entries: lines.into_iter().map(|(_, files)| files).collect(),
        })
    }

    pub fn kind(&self) -> SampleKind {
        self.kind
    }

    /// The files of each sample.
    pub fn entries(&self) -> &[Vec<PathBuf>] {
        &self.entries
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Never true: choosing no sample at all is an error.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Only the first `n` samples (0: all), as the searches use them.
    pub fn truncated(mut self, n: usize) -> Samples {
        keep_first(&mut self.entries, n);
        self
    }
}

fn keep_first<T>(items: &mut Vec<T>, n: usize) {
    if n > 0 {
        items.truncate(n);
    }
}

fn collect_files(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let fail = |e: std::io::Error| FileError::new(dir, file::io_reason(&e));
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let path = entry.path();
        // The entry's own type: a linked directory is not followed (it may lead back here), a linked file is read.
        if entry.file_type().map_err(fail)?.is_dir() {
            collect_files(&path, files)?;
        } else if SampleKind::of(&path).is_some() && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn one_kind<'a>(
    path: &Path,
    files: impl Iterator<Item = &'a PathBuf>,
) -> Result<Option<SampleKind>, SampleError> {
    let mut first: Option<(SampleKind, &PathBuf)> = None;
    for file in files {
        let Some(kind) = SampleKind::of(file) else {
            continue;
        };
        match first {
            None => first = Some((kind, file)),
            Some((first_kind, first)) if first_kind != kind => {
                let (first, other) = (first.clone(), file.clone());
                return Err(SampleError::MixedKinds {
                    path: path.to_path_buf(),
                    first,
                    first_kind,
                    other,
                    other_kind: kind,
                });
            }
            Some(_) => {}
        }
    }
    Ok(first.map(|(kind, _)| kind))
}

/// One input of the network, as far as loading samples needs to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetInput {
    pub name: String,
    /// The input's shape; the first dimension is the batch.
    pub shape: Vec<usize>,
    /// How pictures become this input; `None` for inputs that are not pictures.
    pub preprocess: Option<Preprocess>,
}

/// Loads samples as tensors of the network's inputs, a batch at a time.
///
/// `groups()` batches can be loaded, each with [`Loader::load`] from any thread, or many at once on all cores with [`Loader::load_all`].
#[derive(Debug, Clone)]
pub struct Loader {
    samples: Samples,
    inputs: Vec<NetInput>,
    /// How many samples make one batch.
    per_group: usize,
    groups: usize,
}

impl Loader {
    /// Checks what can be checked without reading all samples. The first npz or npy sample is read: if its arrays have the network's batch
    /// already, each sample is a batch; if they have 1, as many samples as the batch are put together.
    ///
    /// An incomplete last group is dropped for arrays; for pictures its last picture is repeated.
    pub fn new(samples: Samples, inputs: Vec<NetInput>) -> Result<Loader, SampleError> {
        let batch = inputs
            .iter()
            .filter_map(|input| input.shape.first())
            .copied()
            .max()
            .unwrap_or(1)
            .max(1);
        let mut loader = Loader {
            per_group: 1,
            groups: samples.len(),
            samples,
            inputs,
        };
        if batch > 1 {
            let arrays = match loader.samples.kind {
                SampleKind::Image => None,
                SampleKind::Npy | SampleKind::Npz | SampleKind::Yuv => {
                    Some(loader.arrays(&loader.samples.entries[0])?)
                }
            };
            let is_single = |arrays: &Vec<Tensor>| {
                arrays
                    .iter()
                    .all(|a| a.shape().first().is_none_or(|&n| n == 1))
            };
            if arrays.as_ref().is_none_or(is_single) {
                loader.per_group = batch;
                let n = loader.samples.len();
                loader.groups = if arrays.is_none() {
                    n.div_ceil(batch)
                } else {
                    n / batch
                };
            }
        }
        Ok(loader)
    }

    /// How many batches there are.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// How many samples make one batch.
    pub fn per_group(&self) -> usize {
        self.per_group
    }

    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// The files of batch `group`, which is below [`Loader::groups`].
    pub fn entries_of(&self, group: usize) -> &[Vec<PathBuf>] {
        let start = group * self.per_group;
        &self.samples.entries[start..(start + self.per_group).min(self.samples.len())]
    }

    /// The tensors of batch `group` in the order of the network's inputs, each of the input's shape. Pictures give float32;
    /// arrays keep their element type.
    pub fn load(&self, group: usize) -> Result<Vec<Tensor>, SampleError> {
        let entries = self.entries_of(group);
        match self.samples.kind {
            SampleKind::Image => (0..self.inputs.len())
                .map(|i| self.pictures(entries, i))
                .collect(),
            SampleKind::Npy | SampleKind::Npz | SampleKind::Yuv => {
                let mut loaded = entries
                    .iter()
                    .map(|entry| self.arrays(entry))
                    .collect::<Result<Vec<_>, _>>()?;
                let first = loaded.remove(0);
                let path = &entries[0][0];
                self.inputs
                    .iter()
                    .zip(first)
                    .enumerate()
                    .map(|(i, (input, tensor))| {
                        batched(path, input, tensor, loaded.iter().map(|arrays| &arrays[i]))
                    })
                    .collect()
            }
        }
    }

    /// Batches of `range`, decoded on all cores, in order. The caller bounds the memory by the range.
    pub fn load_all(&self, range: std::ops::Range<usize>) -> Result<Vec<Vec<Tensor>>, SampleError> {
        range
            .into_par_iter()
            .map(|group| self.load(group))
            .collect()
    }

    fn pictures(&self, entries: &[Vec<PathBuf>], index: usize) -> Result<Tensor, SampleError> {
        let input = &self.inputs[index];
        let path = &entries[0][0];
        let preprocess = input
            .preprocess
            .as_ref()
            .ok_or_else(|| SampleError::NoPreprocess {
                path: path.clone(),
                name: input.name.clone(),
            })?;
        let one = preprocess.shape();
        let batch = input.shape.first().copied().unwrap_or(1).max(1);
        let per_picture: usize = one.iter().product();
        let expected = [&[batch], &one[1..]].concat();
        if input.shape.iter().product::<usize>() != batch * per_picture {
            let (name, found) = (input.name.clone(), expected);
            return Err(SampleError::Shape {
                path: path.clone(),
                name,
                found,
                expected: input.shape.clone(),
            });
        }
        let mut data = vec![0.0f32; batch * per_picture];
        let mut filled = 0;
        for (entry, out) in entries.iter().zip(data.chunks_exact_mut(per_picture)) {
            let file = self.file_of(entry, index)?;
            let fail = |reason: PreprocessError| match reason {
                PreprocessError::Image(e) => SampleError::from(e),
                reason => SampleError::Preprocess {
                    path: file.clone(),
                    reason,
                },
            };
            preprocess.validate().map_err(fail)?;
            let image = crate::decode::decode_file(file, preprocess.pixel_format.color_mode())?;
            preprocess.run_into(&image, out).map_err(fail)?;
            filled += 1;
        }
        let last = (filled - 1) * per_picture..filled * per_picture;
        for i in filled..batch {
            data.copy_within(last.clone(), i * per_picture);
        }
        Tensor::f32(&input.shape, data).map_err(|reason| SampleError::Tensor {
            path: path.clone(),
            reason,
        })
    }

    /// The file of input `index` of one sample with a file an input.
    fn file_of<'a>(&self, entry: &'a [PathBuf], index: usize) -> Result<&'a PathBuf, SampleError> {
        if entry.len() != self.inputs.len() {
            let names = self.inputs.iter().map(|input| input.name.clone()).collect();
            let path = entry.first().cloned().unwrap_or_default();
            return Err(SampleError::InputCount {
                path,
                found: entry.len(),
                expected: self.inputs.len(),
                names,
            });
        }
        Ok(&entry[index])
    }

    /// The arrays of one npz or npy sample, in the order of the inputs.
    fn arrays(&self, entry: &[PathBuf]) -> Result<Vec<Tensor>, SampleError> {
        match self.samples.kind {
            SampleKind::Npz => {
                let [path] = entry else {
                    return Err(SampleError::OneNpz {
                        path: entry.first().cloned().unwrap_or_default(),
                        found: entry.len(),
                    });
                };
                self.npz_arrays(path)
            }
            SampleKind::Npy => (0..self.inputs.len())
                .map(|i| Ok(npz::read_npy(self.file_of(entry, i)?)?))
                .collect(),
            SampleKind::Image | SampleKind::Yuv => Err(SampleError::Yuv {
                path: entry.first().cloned().unwrap_or_default(),
            }),
        }
    }

    /// The first sample, the name of its only array and that of the network's only input, where they differ: the array is taken for the
    /// input all the same. `None` also where the file cannot be read, which [`Loader::load`] says.
    pub fn array_of_another_name(&self) -> Option<(&Path, String, &str)> {
        let ([input], SampleKind::Npz, Some([path])) = (&self.inputs[..], self.samples.kind, self.samples.entries.first().map(Vec::as_slice)) else { return None };
        let [(name, _)] = &npz::read_npz(path).ok()?[..] else { return None };
        (*name != input.name).then(|| (path.as_path(), name.clone(), input.name.as_str()))
    }

    fn npz_arrays(&self, path: &Path) -> Result<Vec<Tensor>, SampleError> {
        let mut arrays = npz::read_npz(path)?;
        // A network with one input takes the only array, whatever its name.
        if let (1, 1) = (self.inputs.len(), arrays.len()) {
            return Ok(arrays.drain(..).map(|(_, tensor)| tensor).collect());
        }
        self.inputs
            .iter()
            .map(
                |input| match arrays.iter().position(|(name, _)| *name == input.name) {
                    Some(at) => Ok(arrays[at].1.clone()),
                    None => {
                        let found = arrays.iter().map(|(name, _)| name.clone()).collect();
                        Err(SampleError::MissingArray {
                            path: path.to_path_buf(),
                            name: input.name.clone(),
                            found,
                        })
                    }
                },
            )
            .collect()
    }
}

/// The arrays of one input put together along the batch.
fn batched<'a>(
    path: &Path,
    input: &NetInput,
    first: Tensor,
    rest: impl Iterator<Item = &'a Tensor>,
) -> Result<Tensor, SampleError> {
    let mut shape = first.shape().to_vec();
    let mut data = first.into_data();
    for tensor in rest {
        let same = append(&mut data, tensor.data());
        if !same {
            return Err(SampleError::MixedTypes {
                path: path.to_path_buf(),
                name: input.name.clone(),
            });
        }
        if let (Some(n), Some(m)) = (shape.first_mut(), tensor.shape().first()) {
            *n += m;
        }
    }
    let expected: usize = input.shape.iter().product();
    if data.len() != expected {
        let (name, expected) = (input.name.clone(), input.shape.clone());
        return Err(SampleError::Shape {
            path: path.to_path_buf(),
            name,
            found: shape,
            expected,
        });
    }
    Tensor::new(&input.shape, data).map_err(|reason| SampleError::Tensor {
        path: path.to_path_buf(),
        reason,
    })
}

/// Appends elements of the same type; false for another type.
fn append(data: &mut Data, more: &Data) -> bool {
    macro_rules! same {
        ($($variant:ident),*) => {
            match (data, more) {
                $((Data::$variant(a), Data::$variant(b)) => { a.extend_from_slice(b); true })*
                _ => false,
            }
        };
    }
    same!(
        F64, F32, F16, BF16, I64, U64, I32, U32, I16, U16, I8, U8, Bool
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn touch(dir: &Path, names: &[&str]) {
        for name in names {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, b"x").expect("a file");
        }
    }

    fn message<T: std::fmt::Debug>(result: Result<T, SampleError>, dir: &Path) -> String {
        result
            .expect_err("an error")
            .to_string()
            .replace(&dir.display().to_string(), "DIR")
    }

    fn npz(dir: &Path, name: &str, arrays: &[(&str, &Tensor)]) {
        npz::write_npz(&dir.join(name), arrays.iter().copied()).expect("an npz file");
    }

    fn input(name: &str, shape: &[usize]) -> NetInput {
        NetInput {
            name: name.into(),
            shape: shape.to_vec(),
            preprocess: None,
        }
    }

    /// The order is what the reference 1.30.2 chose for a directory with these files.
    #[test]
    fn dataset_order_equals_the_reference() {
        let dir = tempfile::tempdir().expect("a directory");
        let names = [
            "b.png",
            "A.JPG",
            ".h.png",
            "sub/c.Jpeg",
            "sub/.hid/d.bmp",
            "z.txt",
            "a10.png",
            "a9.png",
            "sub.png",
        ];
        touch(dir.path(), &names);
        fs::create_dir(dir.path().join("dir.jpg")).expect("a directory");
        #[cfg(unix)]
        std::os::unix::fs::symlink(dir.path().join("sub"), dir.path().join("link"))
            .expect("a link");
        let samples = Samples::from_dataset(dir.path(), 0).expect("samples");
        let found: Vec<&Path> = samples
            .entries()
            .iter()
            .map(|e| e[0].strip_prefix(dir.path()).expect("inside"))
            .collect();
        let expected = [
            "sub/.hid/d.bmp",
            "a9.png",
            "A.JPG",
            "sub.png",
            "a10.png",
            "b.png",
            ".h.png",
            "sub/c.Jpeg",
        ]
        .map(Path::new);
        assert_eq!(found, expected);
        assert_eq!(samples.kind(), SampleKind::Image);
        assert_eq!(
            Samples::from_dataset(dir.path(), 3).expect("samples").len(),
            3
        );
        assert_eq!(samples.truncated(2).len(), 2);
    }

    #[test]
    fn dataset_errors() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path();
        assert_eq!(
            message(Samples::from_dataset(at, 0), at),
            "DIR: no sample files in this directory; expected files ending in jpg, jpeg, jfif, png, bmp, npy, npz, yuv"
        );
        assert_eq!(
            message(Samples::from_dataset(&at.join("no"), 0), at),
            "DIR/no: no such file or directory"
        );
        touch(at, &["a.png", "b.npz"]);
        let mixed = message(Samples::from_dataset(at, 0), at);
        assert!(
            mixed.starts_with("DIR: samples must be of one kind, but DIR/"),
            "{mixed}"
        );
    }

    #[test]
    fn data_lists() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path();
        touch(at, &["a.png", "b.png", "c.npy"]);
        let list = at.join("list.txt");
        let write = |lines: &[&str]| {
            let text: String = lines
                .iter()
                .map(|l| l.replace("DIR", &at.display().to_string()) + "\n")
                .collect();
            fs::write(&list, text).expect("a list");
        };
        write(&["DIR/b.png", "", "  DIR/a.png , DIR/b.png", "DIR/a.png"]);
        let samples = Samples::from_data_list(&list, 2).expect("samples");
        assert_eq!(
            samples.entries(),
            [
                vec![at.join("b.png")],
                vec![at.join("a.png"), at.join("b.png")]
            ]
        );
        write(&["DIR/a.png", "DIR/x.png", "", "DIR/b.png,DIR/y.png"]);
        assert_eq!(
            message(Samples::from_data_list(&list, 0), at),
            "DIR/list.txt: 2 of the listed files are missing:\n  line 2: DIR/x.png\n  line 4: DIR/y.png"
        );
        write(&["DIR/a.png", "DIR/c.npy"]);
        assert_eq!(
            message(Samples::from_data_list(&list, 0), at),
            "DIR/list.txt: samples must be of one kind, but DIR/a.png is image and DIR/c.npy is npy"
        );
        write(&["DIR/a.png", "DIR/notes"]);
        assert!(
            message(Samples::from_data_list(&list, 0), at)
                .starts_with("DIR/list.txt:2: 'DIR/notes' is not a sample file")
        );
        write(&["", " , "]);
        assert_eq!(
            message(Samples::from_data_list(&list, 0), at),
            "DIR/list.txt: the list has no sample"
        );
    }

    #[test]
    fn arrays_are_put_together_along_the_batch() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path();
        for i in 0..5 {
            let a = Tensor::f32(&[1, 2], vec![i as f32, 0.5]).expect("a tensor");
            let b = Tensor::i64(&[1, 1], vec![i]).expect("a tensor");
            npz(at, &format!("{i}.npz"), &[("a", &a), ("b", &b)]);
        }
        let samples = Samples::from_dataset(at, 0).expect("samples");
        let order: Vec<f32> = samples
            .entries()
            .iter()
            .map(|e| {
                e[0].file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .parse()
                    .expect("a number")
            })
            .collect();
        let loader = Loader::new(
            samples.clone(),
            vec![input("b", &[2, 1]), input("a", &[2, 2])],
        )
        .expect("samples");
        // The fifth sample has no partner.
        assert_eq!(loader.groups(), 2);
        let batches = loader.load_all(0..2).expect("batches");
        assert_eq!(
            batches[1][1].as_f32(),
            Some(&[order[2], 0.5, order[3], 0.5][..])
        );
        assert_eq!(
            batches[0][0].as_i64(),
            Some(&[order[0] as i64, order[1] as i64][..])
        );

        let loader = Loader::new(samples.clone(), vec![input("a", &[1, 2]), input("c", &[1])])
            .expect("samples");
        let error = message(loader.load(0), at);
        assert!(
            error.ends_with(".npz: no array 'c'; the file has: a, b"),
            "{error}"
        );
        let loader =
            Loader::new(samples, vec![input("a", &[1, 3]), input("b", &[1])]).expect("samples");
        let error = message(loader.load(0), at);
        assert!(
            error.ends_with("the array for input 'a' has shape [1, 2], expected [1, 3]"),
            "{error}"
        );
    }

    #[test]
    fn one_array_of_any_name_and_whole_batches() {
        let dir = tempfile::tempdir().expect("a directory");
        for i in 0..3 {
            npz(
                dir.path(),
                &format!("{i}.npz"),
                &[(
                    "whatever",
                    &Tensor::f32(&[2, 1], vec![1.0, 2.0]).expect("a tensor"),
                )],
            );
        }
        let samples = Samples::from_dataset(dir.path(), 0).expect("samples");
        let loader = Loader::new(samples, vec![input("x", &[2, 1])]).expect("samples");
        assert_eq!(loader.groups(), 3);
        assert_eq!(
            loader.load(2).expect("a batch")[0].as_f32(),
            Some(&[1.0, 2.0][..])
        );
    }

    #[test]
    fn the_last_picture_fills_the_batch() {
        let dir = tempfile::tempdir().expect("a directory");
        for (i, value) in [10, 20, 30].into_iter().enumerate() {
            let image = crate::Image::filled(4, 4, 3, value).expect("a size");
            crate::annotate::save(&image, &dir.path().join(format!("{i}.png"))).expect("a picture");
        }
        let list = dir.path().join("list.txt");
        let text: String = (0..3)
            .map(|i| format!("{}\n", dir.path().join(format!("{i}.png")).display()))
            .collect();
        fs::write(&list, text).expect("a list");
        let samples = Samples::from_data_list(&list, 0).expect("samples");
        let preprocess = Some(Preprocess::new([2, 2]));
        let inputs = vec![NetInput {
            name: "x".into(),
            shape: vec![2, 3, 2, 2],
            preprocess: preprocess.clone(),
        }];
        let loader = Loader::new(samples.clone(), inputs).expect("samples");
        let batches = loader.load_all(0..loader.groups()).expect("batches");
        let values: Vec<f32> = batches
            .iter()
            .flat_map(|b| b[0].as_f32().expect("floats").chunks(12).map(|c| c[0]))
            .collect();
        assert_eq!(values, [10.0, 20.0, 30.0, 30.0]);

        let wrong = vec![NetInput {
            name: "x".into(),
            shape: vec![1, 3, 4, 4],
            preprocess,
        }];
        let error = message(
            Loader::new(samples.clone(), wrong)
                .expect("samples")
                .load(0),
            dir.path(),
        );
        assert_eq!(
            error,
            "DIR/0.png: the array for input 'x' has shape [1, 3, 2, 2], expected [1, 3, 4, 4]"
        );
        let error = message(
            Loader::new(samples, vec![input("x", &[1, 3]), input("y", &[1])])
                .expect("samples")
                .load(0),
            dir.path(),
        );
        assert_eq!(
            error,
            "DIR/0.png: input 'x' has no picture preprocessing, so it needs npz or npy samples"
        );
    }
}
