//! Runs tasks in JavaScript, in the engine QuickJS. The script is the input `script`:
//!
//! ```text
//! wrun map quickjs.wasm --call run -i script=wordcount.js --split 1M big.txt --reduce merge
//! ```
//!
//! The task `run` calls the script's function `run(inputs, argument, index)`, and `merge` calls `merge(inputs)`. Inputs are an array of
//! strings: the task's own file or piece first, then shared inputs without the script. They are UTF-8, in which wrong bytes become
//! U+FFFD. What the function returns is the result, as text. `wrun.log(text)` writes a log line. An exception is the task's error
//! message, with its stack.

use rquickjs::function::Args;
use rquickjs::{CatchResultExt, Coerced, Context, Ctx, Exception, Function, Object, Runtime, Value};
use wrun_guest::{Error, Input, Inputs, TaskIndex, Window, task};

#[task]
fn run(inputs: Inputs, argument: &[u8], index: TaskIndex) -> Result<Vec<u8>, Error> {
    call("run", inputs, Some((argument, index.0)))
}

#[task]
fn merge(inputs: Inputs) -> Result<Vec<u8>, Error> {
    call("merge", inputs, None)
}

/// Calls a function of the script. A merge has neither argument nor index.
fn call(function: &str, inputs: Inputs, item: Option<(&[u8], u64)>) -> Result<Vec<u8>, Error> {
    let script = inputs.named("script")?;
    let runtime = Runtime::new().map_err(Error::new)?;
    let context = Context::full(&runtime).map_err(Error::new)?;
    context.with(|ctx| {
        let answer = answer(&ctx, function, script, inputs, item);
        answer.catch(&ctx).map_err(|error| Error::new(error.to_string().trim_end()))
    })
}

fn answer(
    ctx: &Ctx,
    function: &str,
    script: Input,
    inputs: Inputs,
    item: Option<(&[u8], u64)>,
) -> rquickjs::Result<Vec<u8>> {
    ctx.globals().set("wrun", helpers(ctx)?)?;
    ctx.eval::<(), _>(&*mapped(ctx, &script)?)?;
    let Some(function) = ctx.globals().get::<_, Value>(function)?.into_function() else {
        return Err(Exception::throw_message(ctx, &format!("the script has no function {function}")));
    };
    let given = inputs.iter().filter(|input| input.index() != script.index());
    let given = given.map(|input| Ok(String::from_utf8_lossy(&mapped(ctx, &input)?).into_owned()));
    let mut args = Args::new(ctx.clone(), 3);
    args.push_arg(given.collect::<rquickjs::Result<Vec<_>>>()?)?;
    if let Some((argument, index)) = item {
        args.push_arg(String::from_utf8_lossy(argument).as_ref())?;
        // Exact up to 2^53 tasks.
        args.push_arg(index as f64)?;
    }
    let result: Value = function.call_arg(args)?;
    let text: Coerced<String> = result.get()?;
    Ok(text.0.into_bytes())
}

fn helpers<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let helpers = Object::new(ctx.clone())?;
    let log = |text: Coerced<String>| wrun_guest::info!("{}", text.0);
    helpers.set("log", Function::new(ctx.clone(), log)?)?;
    Ok(helpers)
}

fn mapped<'t>(ctx: &Ctx, input: &Input<'t>) -> rquickjs::Result<Window<'t>> {
    input.map().map_err(|error| Exception::throw_message(ctx, &error.to_string()))
}
