//! Running a bmodel in this process.
//!
//! Loading decodes every command once, fixes the order in which the two queues are run, and puts the weights into the
//! simulated memory; a run copies the inputs in, executes the commands, and copies the outputs out. What a command is
//! and does is the chip's affair ([`Processor`]), so that this file knows no instruction.
//!
//! As on a board, memory is not cleared between runs: a stream that reads what it never wrote is a broken stream.

use crate::error::RunError;
use crate::image::Image;
use crate::io::{NamedTensor, Runner, TensorInfo, input_bytes};
use crate::schedule::{Engine, Order, schedule};
use tpuc_bmodel::{Blob, CmdGroup, Model};
use tpuc_tensor::Tensor;

/// A decoded command.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<C> {
    pub command: C,
    /// Bytes of the command in its stream.
    pub length: usize,
    /// Number of commands of the other queue in this group that must have completed before this one starts.
    pub waits: usize,
}

/// A chip that executes commands. All errors are texts that say what is wrong with the command.
pub trait Processor: Sized {
    /// The chip's name in a bmodel.
    const CHIP: &'static str;
    type Tiu;
    type Dma;

    /// A processor whose global memory reaches up to `memory_end`, with its static memory filled.
    fn new(memory_end: u64) -> Result<Self, String>;

    /// The command that `stream` starts with. The end command is a command too.
    fn decode_tiu(stream: &[u8]) -> Result<Decoded<Self::Tiu>, String>;
    fn decode_dma(stream: &[u8]) -> Result<Decoded<Self::Dma>, String>;

    fn write_global(&mut self, address: u64, bytes: &[u8]) -> Result<(), String>;
    fn read_global(&self, address: u64, size: usize) -> Result<Vec<u8>, String>;

    fn execute_tiu(&mut self, command: &Self::Tiu) -> Result<(), String>;
    fn execute_dma(&mut self, command: &Self::Dma) -> Result<(), String>;
}

/// What to run of a file, and how.
#[derive(Debug, Clone, Default)]
pub struct SimulatorOptions {
    /// The net; the file's first where `None`.
    pub net: Option<String>,
    /// Index of the stage.
    pub stage: usize,
    /// Which queue runs ahead.
    pub order: Order,
}

/// A bmodel loaded into the memory of a simulated chip.
pub struct Machine<P: Processor> {
    processor: P,
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    input_addresses: Vec<u64>,
    output_addresses: Vec<u64>,
    groups: Vec<Group<P>>,
}

/// The decoded commands of a group and the order in which to run them.
struct Group<P: Processor> {
    tiu: Vec<P::Tiu>,
    dma: Vec<P::Dma>,
    steps: Vec<(Engine, usize)>,
}

fn memory_error(reason: String) -> RunError {
    RunError::Unsupported(reason)
}

impl<P: Processor> Machine<P> {
    /// Decodes the model's commands and loads its weights.
    pub fn new(model: &Model, options: &SimulatorOptions) -> Result<Machine<P>, RunError> {
        let image = Image::new(model, P::CHIP, options.net.as_deref(), options.stage)?;
        let groups = image.groups.iter().enumerate().map(|(index, group)| Group::new(index, group, options.order)).collect::<Result<_, _>>()?;
        let mut processor = P::new(image.memory_end).map_err(memory_error)?;
        if let Some((address, weights)) = &image.coeff {
            processor.write_global(*address, weights).map_err(memory_error)?;
        }
        let Image { inputs, outputs, input_addresses, output_addresses, .. } = image;
        Ok(Machine { processor, inputs, outputs, input_addresses, output_addresses, groups })
    }

    /// The simulated chip, for looking into its memory after a run.
    pub fn processor(&self) -> &P {
        &self.processor
    }
}

impl<P: Processor> Runner for Machine<P> {
    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, RunError> {
        for (bytes, &address) in input_bytes(&self.inputs, inputs)?.iter().zip(&self.input_addresses) {
            self.processor.write_global(address, bytes).map_err(memory_error)?;
        }
        for (index, group) in self.groups.iter().enumerate() {
            group.run(index, &mut self.processor)?;
        }
        let read = |(info, &address): (&TensorInfo, &u64)| {
            let bytes = self.processor.read_global(address, info.byte_size()).map_err(memory_error)?;
            let tensor = Tensor::from_le_bytes(&info.shape, info.dtype, &bytes).map_err(|e| memory_error(e.to_string()))?;
            Ok((info.name.clone(), tensor))
        };
        self.outputs.iter().zip(&self.output_addresses).map(read).collect()
    }
}

impl<P: Processor> Group<P> {
    fn new(index: usize, group: &CmdGroup, order: Order) -> Result<Group<P>, RunError> {
        let (tiu, tiu_waits) = decode_stream(index, Engine::Tiu, &group.tiu, group.tiu_count, P::decode_tiu)?;
        let (dma, dma_waits) = decode_stream(index, Engine::Dma, &group.dma, group.dma_count, P::decode_dma)?;
        let steps = schedule(&tiu_waits, &dma_waits, order);
        let steps = steps.map_err(|e| RunError::Command { group: index, engine: Engine::Tiu.name(), index: e.tiu, reason: e.to_string() })?;
        Ok(Group { tiu, dma, steps })
    }

    fn run(&self, group: usize, processor: &mut P) -> Result<(), RunError> {
        for &(engine, index) in &self.steps {
            let done = match engine {
                Engine::Tiu => processor.execute_tiu(&self.tiu[index]),
                Engine::Dma => processor.execute_dma(&self.dma[index]),
            };
            done.map_err(|reason| RunError::Command { group, engine: engine.name(), index, reason })?;
        }
        Ok(())
    }
}

/// The `count` commands of a stream and what each waits for.
fn decode_stream<C>(group: usize, engine: Engine, stream: &Blob, count: u32, decode: fn(&[u8]) -> Result<Decoded<C>, String>) -> Result<(Vec<C>, Vec<usize>), RunError> {
    let mut rest: &[u8] = stream;
    let (mut commands, mut waits) = (Vec::new(), Vec::new());
    for index in 0..count as usize {
        let fail = |reason: String| RunError::Command { group, engine: engine.name(), index, reason };
        let at = stream.len() - rest.len();
        if rest.is_empty() {
            return Err(fail(format!("the stream ends at byte {at}, it should have {count} commands")));
        }
        let decoded = decode(rest).map_err(fail)?;
        rest = match decoded.length {
            0 => None,
            length => rest.get(length..),
        }
        .ok_or_else(|| fail(format!("{} bytes at byte {at} reach over the end of the stream ({} bytes)", decoded.length, stream.len())))?;
        commands.push(decoded.command);
        waits.push(decoded.waits);
    }
    Ok((commands, waits))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tpuc_bmodel::{Coeff, Net, Stage};

    /// A chip with one register: the DMA loads it from or stores it to global memory, the TIU doubles it or adds the first
    /// weight. A command is two bytes: code, waits. Code 0 ends.
    struct Toy {
        memory: Vec<u8>,
        register: f32,
    }

    const BASE: u64 = 0x1_0000_0000;

    fn decode(stream: &[u8]) -> Result<Decoded<u8>, String> {
        match stream {
            [code @ 0..4, waits, ..] => Ok(Decoded { command: *code, length: 2, waits: usize::from(*waits) }),
            _ => Err(format!("unknown code {}", stream[0])),
        }
    }

    impl Processor for Toy {
        const CHIP: &'static str = "TOY";
        type Tiu = u8;
        type Dma = u8;

        fn new(memory_end: u64) -> Result<Toy, String> {
            Ok(Toy { memory: vec![0; (memory_end - BASE) as usize], register: 0.0 })
        }
        fn decode_tiu(stream: &[u8]) -> Result<Decoded<u8>, String> {
            decode(stream)
        }
        fn decode_dma(stream: &[u8]) -> Result<Decoded<u8>, String> {
            decode(stream)
        }
        fn write_global(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
            let at = (address - BASE) as usize;
            self.memory[at..at + bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
        fn read_global(&self, address: u64, size: usize) -> Result<Vec<u8>, String> {
            let at = (address - BASE) as usize;
            Ok(self.memory[at..at + size].to_vec())
        }
        fn execute_tiu(&mut self, command: &u8) -> Result<(), String> {
            match command {
                1 => self.register *= 2.0,
                2 => self.register += f32::from(self.memory[0]),
                3 => return Err("not today".into()),
                _ => {}
            }
            Ok(())
        }
        fn execute_dma(&mut self, command: &u8) -> Result<(), String> {
            match command {
                1 => self.register = f32::from_le_bytes(self.read_global(BASE + 64, 4)?.try_into().unwrap()),
                2 => self.write_global(BASE + 68, &self.register.to_le_bytes())?,
                _ => {}
            }
            Ok(())
        }
    }

    fn model(tiu: &[u8], dma: &[u8]) -> Model {
        let tensor = |name: &str, device_addr| tpuc_bmodel::Tensor { name: name.into(), shape: vec![1], device_addr, ..Default::default() };
        let group = CmdGroup { tiu_count: tiu.len() as u32 / 2, dma_count: dma.len() as u32 / 2, tiu: tiu.into(), dma: dma.into(), relocations: vec![] };
        let stage = Stage::single_subnet(vec![tensor("x", BASE + 64)], vec![tensor("y", BASE + 68)], BASE + 64, 64, Some(Coeff::new(BASE, vec![3u8])), vec![group]);
        Model { nets: vec![Net { name: "n".into(), stages: vec![stage], addr_mode: 0, cascade: None }], ..Model::new("TOY", "") }
    }

    #[test]
    fn loads_runs_and_waits() {
        // Load | double after the load, add | store after both.
        let model = model(&[1, 1, 2, 0, 0, 0], &[1, 0, 2, 2, 0, 0]);
        for order in [Order::DmaFirst, Order::TiuFirst] {
            let mut machine = Machine::<Toy>::new(&model, &SimulatorOptions { order, ..Default::default() }).unwrap();
            for x in [1.0f32, 5.0] {
                let outputs = machine.run(&[("x".into(), Tensor::f32(&[1], vec![x]).unwrap())]).unwrap();
                assert_eq!(outputs, [("y".to_owned(), Tensor::f32(&[1], vec![2.0 * x + 3.0]).unwrap())]);
            }
        }
    }

    #[test]
    fn broken_streams_are_errors() {
        let error = |tiu: &[u8], dma: &[u8]| {
            let loaded = Machine::<Toy>::new(&model(tiu, dma), &SimulatorOptions::default());
            loaded.and_then(|mut m| m.run(&[("x".into(), Tensor::f32(&[1], vec![1.0]).unwrap())])).unwrap_err().to_string()
        };
        assert_eq!(error(&[9, 0], &[0, 0]), "group 0, TIU command 0: unknown code 9");
        assert_eq!(error(&[0, 0, 3, 0], &[0, 0]), "group 0, TIU command 1: not today");
        assert_eq!(error(&[1, 1], &[1, 1]), "group 0, TIU command 0: deadlock: TIU command 0 waits for 1 DMA commands, DMA command 0 waits for 1 TIU commands");
        let mut cut = model(&[1, 0], &[0, 0]);
        cut.nets[0].stages[0].groups[0].tiu_count = 2;
        let reason = Machine::<Toy>::new(&cut, &SimulatorOptions::default()).map(|_| ()).unwrap_err().to_string();
        assert_eq!(reason, "group 0, TIU command 1: the stream ends at byte 2, it should have 2 commands");
    }
}
