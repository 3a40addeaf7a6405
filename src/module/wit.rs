//! The WIT of a component: its world, and the packages that it is made of.

use std::panic::{self, AssertUnwindSafe};

use wit_component::{DecodedWasm, WitPrinter};

/// The longest text that is kept. That of a component with all interfaces of WASI has less than 100 KiB.
const MAX_BYTES: usize = 1 << 20;

/// The WIT of a valid component; `None` if WIT cannot say what it imports and exports, or only in a very long text.
///
/// It is for people, and nothing depends on it. So a component that its decoder does not expect is not refused for that.
pub(super) fn of(binary: &[u8]) -> Option<String> {
    let hook = panic::take_hook();
    // The answer of this process follows on standard error, and nothing else may be there.
    panic::set_hook(Box::new(|_| {}));
    let printed = panic::catch_unwind(AssertUnwindSafe(|| print(binary)));
    panic::set_hook(hook);
    printed.ok().flatten().filter(|text| text.len() <= MAX_BYTES)
}

fn print(binary: &[u8]) -> Option<String> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(binary).ok()? else { return None };
    let package = resolve.worlds[world].package?;
    let others: Vec<_> = resolve.packages.iter().map(|(id, _)| id).filter(|id| *id != package).collect();
    let mut printer = WitPrinter::default();
    printer.print(&resolve, package, &others).ok()?;
    Some(printer.output.to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_world_is_printed_with_its_packages() {
        let text = r#"(component
            (core module $m (func (export "f")))
            (core instance $m (instantiate $m))
            (func $f (canon lift (core func $m "f")))
            (export "f" (func $f))
            (instance $i (export "g" (func $f)))
            (export "acme:text/words@1.0.0" (instance $i)))"#;
        let wit = super::of(&wat::parse_str(text).expect("a component")).expect("WIT");
        for part in ["world root {\n  export f: func();\n", "package acme:text@1.0.0 {", "g: func();"] {
            assert!(wit.contains(part), "{part}: {wit}");
        }
        assert_eq!(super::of(b"\0asm\x0d\0\x01\0 nothing"), None);
    }
}
