#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/check.h"
#include "cli/show_study.h"
#include "cli/show_train.h"
#include "config/config.h"
#include "host/generate.h"
#include "host/resume.h"
#include "host/train.h"
#include "host/tune.h"
#include "python/bindings.h"
#include "python/hooks.h"
#include "python/remote.h"
#include "python/torch_settings.h"

namespace finetune::python {
namespace {

// Calls work without the GIL, with LibTorch's settings as they were afterwards.
template <typename Work>
auto without_gil(const Work& work) {
  const nb::gil_scoped_release others;
  const TorchSettings settings;
  return work();
}

// Bytes that are no text (half a character of a sample output) become the replacement character.
std::string text_of(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// A run that has ended: "tune" or "train", what that prints with --json, and what that does not say.
struct Ended {
  std::string verb, json, folder;
  bool interrupted = false;
};

Ended ended(const ReportFacts& study, const PythonHooks& hooks) {
  if (!hooks.has_raised()) require_winner(study);
  return {"tune", text_of(report_json(study)), study.folder, study.interrupted};
}

Ended ended(const TrainResult& run) {
  return {"train", text_of(train_json(run)), run.weights.parent_path().string(), run.interrupted};
}

// `ends` and `begin`: of lanes elsewhere (remote.h); none = the trials are computed here.
Ended tune_run(const std::string& file, const std::string& json, const RowTexts& rows, bool overwrite,
               const Callbacks& callbacks, const std::vector<nb::object>& ends, const nb::object& begin) {
  const RunConfig config = read_config(file, json, rows, {"model.path", "data.train", "run.out"});
  RemoteLanes lanes(ends, begin);
  PythonHooks hooks(callbacks, config);
  StudyHooks study = hooks.hooks();
  lanes.add_to(study);
  Ended run = without_gil([&] { return ended(tune(config, study, overwrite), hooks); });
  hooks.rethrow();
  return run;
}

Ended train_run(const std::string& file, const std::string& json, const RowTexts& rows, bool overwrite,
                const Callbacks& callbacks) {
  const RunConfig config = read_config(file, json, rows, {"model.path", "data.train", "run.out"});
  PythonHooks hooks(callbacks, config);
  Ended run = without_gil([&] { return ended(train(config, hooks.hooks(), overwrite)); });
  hooks.rethrow();
  return run;
}

// Relative paths of a run are those of the folder it was begun in; the program around us stays where it is.
class WorkingDirectory {
 public:
  WorkingDirectory() : path_(std::filesystem::current_path()) {}
  ~WorkingDirectory() {
    std::error_code gone;
    std::filesystem::current_path(path_, gone);
  }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;

 private:
  std::filesystem::path path_;
};

// Without a verb where a run of train was complete before.
Ended resume_run(const std::string& folder, const RowTexts& rows, bool elsewhere, const Callbacks& callbacks,
                 const std::vector<nb::object>& ends, const nb::object& begin) {
  RemoteLanes lanes(ends, begin);
  PythonHooks hooks(callbacks, {});
  StudyHooks study = hooks.hooks();
  lanes.add_to(study);
  const ResumeOptions options{.elsewhere = elsewhere, .memory = memory_files(rows)};
  Ended run = without_gil([&]() -> Ended {
    const WorkingDirectory directory;
    const Resumed resumed = resume(folder, study, options);
    if (resumed.study) return ended(*resumed.study, hooks);
    return resumed.trained ? ended(*resumed.trained) : Ended{};
  });
  hooks.rethrow();
  return run;
}

// Lines come from any thread while the GIL is free; what Python raises there waits for the end.
class SayInPython {
 public:
  explicit SayInPython(nb::object put) : put_(std::move(put)) {}
  void operator()(const std::string& line) {
    const nb::gil_scoped_acquire gil;
    if (raised_ || put_.is_none()) return;
    try {
      put_(line + "\n");
    } catch (...) {
      raised_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (raised_) std::rethrow_exception(raised_);
  }

 private:
  nb::object put_;
  std::exception_ptr raised_;
};

std::pair<std::string, std::string> check_run(const std::string& file, const std::string& json, const RowTexts& rows,
                                              const nb::object& put) {
  const RunConfig config = read_config(file, json, rows, {"model.path"});
  SayInPython say(put);
  std::ostringstream text;
  std::string found;
  try {
    found = without_gil([&] { return text_of(check(config, {.text = text, .say = std::ref(say)})); });
  } catch (const std::exception&) {
    say(text.str());  // the bad lines, before the first of them is raised
    throw;
  }
  say.rethrow();
  return {text.str(), found};
}

std::vector<std::string> generate_run(const std::string& file, const std::string& json, const RowTexts& rows, bool chat,
                                      std::int64_t max_new_tokens, const std::vector<std::string>& stop,
                                      const nb::object& put) {
  const RunConfig config = read_config(file, json, rows, {"model.path", "data.valid"}, {.prompts = true});
  SayInPython say(put);
  const GenerateOptions options{.chat = chat, .max_new_tokens = max_new_tokens, .stop = stop};
  const Generated made = without_gil([&] {
    return generate(config, options,
                    {.say = std::ref(say), .on_row = [](const PromptSet&, std::size_t, const Completion&, bool) {}});
  });
  say.rethrow();
  std::vector<std::string> rows_json;
  for (std::size_t i = 0; i < made.completions.size(); ++i) {
    const Completion& completion = made.completions[i];
    rows_json.push_back(text_of({{"prompt", made.prompts.rows[i].text},
                                 {"completion", completion.text},
                                 {"tokens", completion.ids.size()},
                                 {"ended", completion.ended}}));
  }
  return rows_json;
}

}  // namespace

void bind_runs(nb::module_& module) {
  nb::class_<Callbacks>(module, "Callbacks", "The Python ends of a study's hooks.")
      .def(
          "__init__",
          [](Callbacks* self, nb::object on_step, nb::object put, nb::object bar, bool terminal, bool notebook,
             bool signals) {
            new (self) Callbacks{std::move(on_step), std::move(put), std::move(bar), terminal, notebook, signals};
          },
          nb::arg("on_step").none(), nb::arg("put").none(), nb::arg("bar").none(), nb::arg("terminal"),
          nb::arg("notebook"), nb::arg("signals"));
  nb::class_<Ended>(module, "Ended", "A run that has ended.")
      .def_ro("verb", &Ended::verb, "tune, train, or nothing where there was nothing left to train")
      .def_ro("json", &Ended::json, "what the verb prints with --json")
      .def_ro("folder", &Ended::folder, "run.out")
      .def_ro("interrupted", &Ended::interrupted, "by Ctrl-C, or by what a callback raised");
  module.def("tune", tune_run, nb::arg("file"), nb::arg("config"), nb::arg("rows"), nb::arg("overwrite"),
             nb::arg("callbacks"), nb::arg("ends") = std::vector<nb::object>(), nb::arg("begin") = nb::none(),
             "Plays a study, on the lanes behind `ends` where there are some.");
  module.def("train", train_run, nb::arg("file"), nb::arg("config"), nb::arg("rows"), nb::arg("overwrite"),
             nb::arg("callbacks"), "Trains one configuration.");
  module.def("resume", resume_run, nb::arg("folder"), nb::arg("rows"), nb::arg("elsewhere"), nb::arg("callbacks"),
             nb::arg("ends") = std::vector<nb::object>(), nb::arg("begin") = nb::none(), "Goes on with a run.");
  module.def("check", check_run, nb::arg("file"), nb::arg("config"), nb::arg("rows"), nb::arg("put").none(),
             "Reads everything, trains nothing; returns what `check` prints and what it prints with --json.");
  module.def("generate", generate_run, nb::arg("file"), nb::arg("config"), nb::arg("rows"), nb::arg("chat"),
             nb::arg("max_new_tokens"), nb::arg("stop"), nb::arg("put").none(),
             "Continues the rows of data.valid; a JSON object each.");
}

}  // namespace finetune::python
