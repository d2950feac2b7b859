//! The f32 initializers of an ONNX file, from the protobuf wire format.

use std::collections::HashMap;

/// Fields of a message: number and payload of length-delimited fields, number and value of varints.
enum Field<'a> {
    Bytes(u64, &'a [u8]),
    Varint(u64, u64),
}

fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut list = vec![];
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        match key & 7 {
            0 => list.push(Field::Varint(key >> 3, varint(&mut bytes))),
            1 => bytes = &bytes[8..],
            5 => bytes = &bytes[4..],
            2 => {
                let length = varint(&mut bytes) as usize;
                list.push(Field::Bytes(key >> 3, &bytes[..length]));
                bytes = &bytes[length..];
            }
            other => panic!("wire type {other}"),
        }
    }
    list
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Name -> elements.
pub fn initializers(model: &[u8]) -> HashMap<String, Vec<f32>> {
    let mut all = HashMap::new();
    for field in fields(model) {
        let Field::Bytes(7, graph) = field else { continue };
        for field in fields(graph) {
            let Field::Bytes(5, tensor) = field else { continue };
            let (mut name, mut data, mut float) = (String::new(), vec![], false);
            for field in fields(tensor) {
                match field {
                    Field::Varint(2, dtype) => float = dtype == 1,
                    Field::Bytes(8, text) => name = String::from_utf8_lossy(text).into_owned(),
                    Field::Bytes(9, raw) => data = raw.as_chunks::<4>().0.iter().map(|&c| f32::from_le_bytes(c)).collect(),
                    _ => {}
                }
            }
            if float {
                all.insert(name, data);
            }
        }
    }
    all
}
