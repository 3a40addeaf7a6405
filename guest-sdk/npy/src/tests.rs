use super::*;

/// A file of version `major` with this header text and no data.
fn file(major: u8, text: &str) -> Vec<u8> {
    let len = text.len() as u32;
    let len = if major == 1 { len.to_le_bytes()[..2].to_vec() } else { len.to_le_bytes().to_vec() };
    [&MAGIC[..], &[major, 0], &len, text.as_bytes()].concat()
}

fn refusal(bytes: &[u8]) -> String {
    let text = Header::parse(bytes).unwrap_err().to_string();
    assert!(text.len() < 200 && !text.contains('\n'), "{text}");
    text
}

#[test]
fn headers_are_read_as_they_are_written() {
    for dtype in ["|b1", "|i1", "<u2", ">i4", "<u8", "<f2", ">f8", "<c8", "<c16"] {
        for shape in [&[][..], &[0], &[7], &[3, 2], &[1; 64], &[u64::MAX >> 8, 1]] {
            let bytes = Header::encode(Dtype::parse(dtype).unwrap(), shape);
            let header = Header::parse(&bytes).unwrap();
            assert_eq!((header.dtype().to_string().as_str(), header.shape()), (dtype, shape));
            assert_eq!((header.len(), bytes.len() % 64, bytes.last()), (bytes.len(), 0, Some(&b'\n')));
        }
    }
}

#[test]
fn any_spelling_of_the_dictionary_is_read() {
    for text in [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
        r#"{"shape":(2L,3L),"fortran_order":False,"descr":"<f4"}"#,
        " { 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' , 'fortran_order' : False } \n  ",
    ] {
        for major in 1..=3 {
            let header = Header::parse(&file(major, text)).unwrap();
            assert_eq!((header.shape(), header.rows(), header.row_bytes()), (&[2, 3][..], Some(2), Some(12)));
            assert_eq!((header.data_bytes(), header.len()), (24, file(major, text).len()));
        }
    }
    // With one axis, both orders are the same.
    assert!(Header::parse(&file(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}")).is_ok());
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let of = |descr: &str| file(1, &format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,)}}"));
    for (bytes, start) in [
        (of("'|O'"), "the array's elements are Python objects (pickled)"),
        (of("[('x', '<f8')]"), "the array's elements are structures"),
        (of("'<U5'"), r#"the array's elements have the dtype "<U5""#),
        (of("'<M8[ns]'"), r#"the array's elements have the dtype "<M8[ns]""#),
        (of("'<f16'"), r#"the array's elements have the dtype "<f16""#),
        (of("'=f8'"), r#"the array's elements have the dtype "=f8""#),
        (of("'|f8'"), r#"the array's elements have the dtype "|f8""#),
        (of("''"), r#"the array's elements have the dtype """#),
        (file(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}"), "the array is in Fortran order"),
        (b"PK\x03\x04".to_vec(), "the file is a zip archive"),
        (b"\x80\x04\x95".to_vec(), "the file is a pickle"),
        (b"".to_vec(), "the file is empty"),
        (b"hello".to_vec(), "the file does not start like a .npy file"),
        (b"\x93NUMPY\x04\x00".to_vec(), "version 4.0 of .npy is not supported"),
        (b"\x93NUMPY\x01".to_vec(), "the file ends in its .npy header"),
        (b"\x93NUMPY\x02\x00\x01\x00".to_vec(), "the file ends in its .npy header"),
        (b"\x93NUMPY\x01\x00\x80\x00{".to_vec(), "the file ends in its .npy header"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec(), "the .npy header claims to have 4294967295 bytes"),
    ] {
        assert!(refusal(&bytes).starts_with(start), "{} instead of {start}", refusal(&bytes));
    }
}

#[test]
fn hostile_dictionaries_are_refused() {
    let of = |shape: &str| file(2, &format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"));
    for (shape, start) in [
        ("(4294967296, 4294967296)", "the .npy header has a shape of more bytes"),
        ("(2305843009213693952,)", "the .npy header has a shape of more bytes"),
        ("(18446744073709551616,)", "the .npy header has an axis of more elements"),
        (&format!("({})", "9".repeat(50_000)), "the .npy header has an axis of more elements"),
        (&format!("({})", "1,".repeat(65)), "the .npy header has a shape of more than 64 axes"),
        (&"(".repeat(60_000), "the .npy header is not a dictionary"),
        ("(-1,)", "the .npy header is not a dictionary"),
        ("(1.5,)", "the .npy header is not a dictionary"),
        ("(1 2)", "the .npy header is not a dictionary"),
        ("[1]", "the .npy header is not in the form that NumPy writes"),
        ("'1'", "the .npy header is not in the form that NumPy writes"),
        ("(1,), 'x': True", "the .npy header is not in the form that NumPy writes"),
        ("(1,), 'shape': (1,)", "the .npy header is not in the form that NumPy writes"),
        ("(1,)} x", "the .npy header is not a dictionary"),
        ("__import__('os')", "the .npy header is not a dictionary"),
    ] {
        assert!(refusal(&of(shape)).starts_with(start), "{shape:.30}: {} instead of {start}", refusal(&of(shape)));
    }
    for text in ["", " ", "{", "{}", "[]", "{'descr'", "{'descr':", "{'de\\'scr': True}", "{'shape': ("] {
        refusal(&file(1, text));
    }
}

#[test]
fn rows_without_elements_have_no_bytes() {
    let of = |shape: &[u64]| Header::parse(&Header::encode(Dtype::parse("<f8").unwrap(), shape)).unwrap();
    assert_eq!((of(&[5, 0]).row_bytes(), of(&[5, 0]).data_bytes()), (Some(0), 0));
    assert_eq!((of(&[]).row_bytes(), of(&[]).data_bytes()), (None, 8));
    // With an axis 0 of length 0 the product of all axes is 0, but that of a row overflows.
    assert_eq!(of(&[0, u64::MAX]).row_bytes(), None);
}

#[test]
fn no_bytes_make_it_panic() {
    let good = Header::encode(Dtype::parse("<f8").unwrap(), &[3, 2]);
    for end in 0..good.len() {
        assert!(Header::parse(&good[..end]).is_err());
    }
    // Replaces each byte of a header by every other value.
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut bytes = good.clone();
            bytes[at] = byte;
            if let Ok(header) = Header::parse(&bytes) {
                assert!(header.len() <= bytes.len());
            }
        }
    }
}
