//! Runs tasks in Lua. The script is the input `script`:
//!
//! ```text
//! wrun map lua.wasm --call run -i script=wordcount.lua --split 1M big.txt --reduce merge
//! ```
//!
//! The task `run` calls the script's function `run(inputs, item, index)`, and `merge` calls `merge(inputs)`. Inputs are a table of
//! strings: the task's own file or piece first, then shared inputs without the script. The string or number that the function
//! returns is the result. `wrun.log(text)` writes a log line. An error is the task's error message, with its stack.

use mlua::{Function, IntoLuaMulti, Lua, LuaString, Table};
use wrun_guest::{Error, Inputs, TaskIndex, task};

#[task]
fn run(inputs: Inputs, item: &[u8], index: TaskIndex) -> Result<Vec<u8>, Error> {
    let lua = Lua::new();
    let given = given(&lua, inputs)?;
    let item = lua.create_string(item).map_err(Error::new)?;
    call(&lua, "run", inputs, (given, item, index.0))
}

#[task]
fn merge(inputs: Inputs) -> Result<Vec<u8>, Error> {
    let lua = Lua::new();
    let given = given(&lua, inputs)?;
    call(&lua, "merge", inputs, given)
}

/// Calls a function of the script.
fn call(lua: &Lua, function: &str, inputs: Inputs, arguments: impl IntoLuaMulti) -> Result<Vec<u8>, Error> {
    let script = inputs.named("script")?.map()?;
    let call = || {
        let helpers = lua.create_table()?;
        let log = |_: &Lua, text: LuaString| {
            wrun_guest::info!("{}", text.to_string_lossy());
            Ok(())
        };
        helpers.set("log", lua.create_function(log)?)?;
        lua.globals().set("wrun", helpers)?;
        lua.load(&*script).set_name("@script").exec()?;
        let Some(function) = lua.globals().get::<Option<Function>>(function)? else {
            return Err(mlua::Error::runtime(format_args!("the script has no function {function}")));
        };
        Ok(function.call::<LuaString>(arguments)?.as_bytes().to_vec())
    };
    call().map_err(|error| Error::new(error.to_string().trim_end()))
}

/// Copies of the inputs, because Lua's strings are its own.
fn given(lua: &Lua, inputs: Inputs) -> Result<Table, Error> {
    let script = inputs.named("script")?.index();
    let given = lua.create_table().map_err(Error::new)?;
    for input in inputs.iter().filter(|input| input.index() != script) {
        let text = lua.create_string(&*input.map()?).map_err(Error::new)?;
        given.push(text).map_err(Error::new)?;
    }
    Ok(given)
}
