// Gives tasks their names, and nothing else: the module shows no sign of its language.
export default class {
  afterCompile(module) {
    module.removeExport("task_window");
    module.addFunctionExport("assembly/window/task_window", "wrun:task/window");
  }
}
