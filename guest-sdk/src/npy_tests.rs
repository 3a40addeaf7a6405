use std::path::Path;

use super::*;
use crate::{Npy, Output, TestTask};

/// A file written by NumPy.
fn numpy(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/npy").join(name).with_extension("npy");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The result of a task on this file.
fn on<R: crate::IntoOutput>(
    file: Vec<u8>,
    task: impl FnOnce(NpyInput<'_>) -> Result<R, Error>,
) -> Result<Vec<u8>, String> {
    TestTask::new().input("file", file).run(|found| task(found.extract()?))
}

/// Checks that the file has 3 rows of 2 elements, with these values.
fn check<T: Element + PartialEq + fmt::Debug>(name: &str, elements: [T; 6]) {
    let checked = on(numpy(name), |array| {
        let view = array.view::<T>()?;
        assert_eq!((view.shape(), view.strides(), view.as_slice()), (&[3, 2][..], vec![2, 1], &elements[..]), "{name}");
        assert_eq!(
            view.rows().map(<[T]>::to_vec).collect::<Vec<_>>(),
            elements.chunks(2).map(<[T]>::to_vec).collect::<Vec<_>>()
        );
        assert_eq!(array.to_vec::<T>()?, elements);
        assert_eq!(array.rows(1..3)?.view::<T>()?.as_slice(), &elements[2..]);
        // Writing it again gives the same file, unless the type differs.
        Npy::from_vec(&[3, 2], elements.to_vec())
    });
    if name != "b1" {
        assert!(checked.unwrap() == numpy(name), "{name} is written differently");
    }
}

#[test]
fn all_types_that_numpy_writes_are_read() {
    check("b1", [0u8, 1, 0, 1, 0, 1]);
    check("i1", [0i8, 1, 2, 3, 4, 5]);
    check("u1", [0u8, 1, 2, 3, 4, 5]);
    check("i2-little", [0i16, 1, 2, 3, 4, 5]);
    check("u2-little", [0u16, 1, 2, 3, 4, 5]);
    check("i4-little", [0i32, 1, 2, 3, 4, 5]);
    check("u4-little", [0u32, 1, 2, 3, 4, 5]);
    check("i8-little", [0i64, 1, 2, 3, 4, 5]);
    check("u8-little", [0u64, 1, 2, 3, 4, 5]);
    check("f4-little", [0f32, 1.0, 2.0, 3.0, 4.0, 5.0]);
    check("f8-little", [0f64, 1.0, 2.0, 3.0, 4.0, 5.0]);
    check("c8-little", [0f32, 1.0, 2.0, 3.0, 4.0, 5.0].map(|n| [n, 0.0 - n]));
    check("c16-little", [0f64, 1.0, 2.0, 3.0, 4.0, 5.0].map(|n| [n, 0.0 - n]));
    #[cfg(feature = "half")]
    check("f2-little", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(half::f16::from_f32));
}

#[test]
fn big_endian_arrays_are_known_and_refused() {
    for name in ["i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"] {
        let text = on(numpy(&format!("{name}-big")), |array| {
            assert_eq!((array.dtype().to_string(), array.dtype().order()), (format!(">{name}"), Order::Big));
            array.view::<f64>().map(|_| ())
        });
        let text = text.unwrap_err();
        let start = format!(
            "the array's elements are >{name}, but this task reads <f8 (f64); big-endian arrays are not supported"
        );
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn other_shapes_and_versions_are_read() {
    for name in ["version-2", "version-3"] {
        on(numpy(name), |array| array.view::<f64>().map(|view| assert_eq!(view[5], 5.0))).unwrap();
    }
    on(numpy("number"), |array| {
        let view = array.view::<f64>()?;
        assert_eq!((view.shape(), view.as_slice(), array.len()), (&[][..], &[7.0][..], 1));
        assert!(array.rows(0..1).is_err());
        Ok(())
    })
    .unwrap();
    on(numpy("empty"), |array| {
        let view = array.view::<f64>()?;
        assert_eq!((view.shape(), view.len(), view.rows().count()), (&[0, 2][..], 0, 0));
        Ok(())
    })
    .unwrap();
    on(numpy("three-axes"), |array| {
        let view = array.view::<f64>()?;
        assert_eq!((view.strides(), view[12 + 2 * 4 + 3]), (vec![12, 4, 1], 23.0));
        #[cfg(feature = "ndarray")]
        assert_eq!((view.array()[[1, 2, 3]], view.array().strides()), (23.0, &[12, 4, 1][..]));
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let refusal = |file| on(file, |array| array.view::<f64>().map(|_| ())).unwrap_err();
    for (name, start) in [
        ("fortran", "the array is in Fortran order, which is not supported; save numpy.ascontiguousarray(a)"),
        ("objects", "the array's elements are Python objects (pickled)"),
        ("structures", "the array's elements are structures"),
        ("texts", r#"the array's elements have the dtype "<U3""#),
        ("times", r#"the array's elements have the dtype "<M8[D]""#),
        ("i4-little", "the array's elements are <i4, but this task reads <f8 (f64)"),
    ] {
        assert!(refusal(numpy(name)).starts_with(start), "{name}: {}", refusal(numpy(name)));
    }
    let mut cut = numpy("f8-little");
    cut.pop();
    let text = "the .npy header promises 48 bytes of data, but there are only 47; the file was cut off";
    assert_eq!(refusal(cut), text);
    let huge = Header::encode(f64::DTYPE, &[0, 1 << 40, 1 << 40]);
    assert!(refusal(huge).starts_with("an array of shape [0, 1099511627776, 1099511627776] is larger than memory"));
}

#[test]
fn pieces_take_type_and_shape_from_the_header_that_comes_with_them() {
    let file = numpy("f8-little");
    let (header, data) = file.split_at(128);
    let task = |rows: &[u8], header: &[u8]| TestTask::new().piece("rows", rows, 144).input("header", header);
    let shown = task(&data[16..], header).run(|task| {
        let view: NpyView<f64> = task.extract()?;
        Ok(format!("{:?} {:?}", view.shape(), &view[..]))
    });
    assert_eq!(String::from_utf8(shown.unwrap()).unwrap(), "[2, 2] [2.0, 3.0, 4.0, 5.0]");

    // Other inputs after a file are not taken for its header.
    for other in [&b"text"[..], &file, &Header::encode(f64::DTYPE, &[0, 2])] {
        let shape = TestTask::new()
            .input("a", &file)
            .input("b", other)
            .run(|task| Ok(format!("{:?}", task.extract::<NpyInput>()?.shape())));
        assert_eq!(shape.unwrap(), b"[3, 2]");
    }
    // A piece that is not a whole number of rows is refused.
    assert!(task(&data[..8], header).run(|task| task.extract::<NpyInput>().map(|_| ())).is_err());
}

#[test]
fn data_that_is_not_aligned_is_copied_or_refused() {
    let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}";
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((text.len() as u16).to_le_bytes());
    file.extend(text.bytes());
    assert_ne!(file.len() % 8, 0);
    file.extend([1.5f64, 2.5].iter().flat_map(|number| number.to_le_bytes()));
    let copied = on(file.clone(), |array| array.to_vec::<f64>().map(|numbers| format!("{numbers:?}")));
    assert_eq!(copied.unwrap(), b"[1.5, 2.5]");
    let text = on(file, |array| array.view::<f64>().map(|_| ())).unwrap_err();
    assert!(text.starts_with("the data of the .npy file does not start at a multiple of 8"), "{text}");
}

#[test]
fn results_are_written_whole_and_in_place() {
    // A long result takes the other path.
    let long: Vec<i32> = (0..100_000).collect();
    let file = TestTask::new().run(|_| Npy::from_slice(&[1000, 100], &long)).unwrap();
    on(file, |array| {
        array.view::<i32>().map(|view| assert_eq!((view.shape(), &view[..]), (&[1000, 100][..], &long[..])))
    })
    .unwrap();

    let file = TestTask::new().run(|task| {
        let mut buffer = Npy::<u16>::map(task.extract::<Output>()?, &[2])?;
        buffer[1] = 7;
        assert_eq!(&buffer[..], [0, 7]);
        Ok::<_, Error>(())
    });
    on(file.unwrap(), |array| array.view::<u16>().map(|view| assert_eq!(&view[..], [0, 7]))).unwrap();

    assert!(Npy::from_slice(&[2, 2], &[1u8; 3]).is_err());
    assert!(Npy::from_slice(&[usize::MAX, 2], &[1u8; 3]).is_err());
    assert!(Npy::<u8>::from_vec(&[0; 65], vec![]).is_err());
}
