#include <atomic>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/check.h"
#include "cli/show_study.h"
#include "cli/show_train.h"
#include "config/config.h"
#include "core/error.h"
#include "host/generate.h"
#include "host/resume.h"
#include "host/train.h"
#include "host/tune.h"
#include "python/bindings.h"
#include "python/hooks.h"
#include "python/remote.h"
#include "python/torch_settings.h"
#include "python/words.h"

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

// Lines come from any thread while the GIL is free; what Python raises there ends the work, as Ctrl-C does.
class SayInPython {
 public:
  SayInPython(const Callbacks& callbacks, std::string_view ending)
      : put_(callbacks.put), guard_(guard_of(callbacks, ending)) {}
  void operator()(const std::string& line) { put(in_words_of_python(line) + "\n"); }
  void put(const std::string& text) {
    const nb::gil_scoped_acquire gil;
    if (raised_ || put_.is_none()) return;
    try {
      put_(text);
    } catch (...) {
      raised_ = std::current_exception();
      has_raised_ = true;
    }
  }
  bool wants_end() const { return has_raised_ || (guard_ && InterruptGuard::requested()); }
  // What the work came to; what was raised meanwhile says why it was ended.
  template <typename Work>
  auto during(const Work& work) {
    try {
      auto result = without_gil(work);
      rethrow();
      return result;
    } catch (const Interrupted&) {
      rethrow();
      throw;
    }
  }

 private:
  void rethrow() const {
    if (raised_) std::rethrow_exception(raised_);
  }

  nb::object put_;
  std::exception_ptr raised_;
  std::atomic<bool> has_raised_ = false;
  std::unique_ptr<const InterruptGuard> guard_;
};

std::pair<std::string, std::string> check_run(const std::string& file, const std::string& json, const RowTexts& rows,
                                              const Callbacks& callbacks) {
  const RunConfig config = read_config(file, json, rows, {"model.path"});
  SayInPython say(callbacks, "ending when the reading or measuring under way is through");
  std::ostringstream text;
  const CheckOutput output{
      .text = text, .say = std::ref(say), .words = in_words_of_python, .stop = [&say] { return say.wants_end(); }};
  std::string found;
  try {
    found = say.during([&] { return text_of(check(config, output)); });
  } catch (const std::exception&) {
    say.put(text.str());  // the bad lines, before the first of them is raised
    throw;
  }
  return {text.str(), found};
}

// Rows that were ended before they were done are null.
std::pair<std::vector<std::string>, bool> generate_run(const std::string& file, const std::string& json,
                                                       const RowTexts& rows, bool chat, std::int64_t max_new_tokens,
                                                       const std::vector<std::string>& stop,
                                                       const Callbacks& callbacks) {
  const RunConfig config = read_config(file, json, rows, {"model.path", "data.valid"}, {.prompts = true});
  SayInPython say(callbacks, "ending with this token, and with the texts that are done");
  const GenerateOptions options{.chat = chat, .max_new_tokens = max_new_tokens, .stop = stop};
  const GenerateHooks hooks{.say = std::ref(say),
                            .on_row = [](const PromptSet&, std::size_t, const Completion&, bool) {},
                            .stop = [&say] { return say.wants_end(); }};
  const Generated made = say.during([&] { return generate(config, options, hooks); });
  std::vector<std::string> rows_json;
  for (std::size_t i = 0; i < made.completions.size(); ++i) {
    const std::optional<Completion>& completion = made.completions[i];
    rows_json.push_back(completion ? text_of({{"prompt", made.prompts.rows[i].text},
                                              {"completion", completion->text},
                                              {"tokens", completion->ids.size()},
                                              {"ended", completion->ended}})
                                   : "null");
  }
  return {rows_json, made.interrupted};
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
  module.def("check", check_run, nb::arg("file"), nb::arg("config"), nb::arg("rows"), nb::arg("callbacks"),
             "Reads everything, trains nothing; returns what `check` prints and what it prints with --json.");
  module.def("generate", generate_run, nb::arg("file"), nb::arg("config"), nb::arg("rows"), nb::arg("chat"),
             nb::arg("max_new_tokens"), nb::arg("stop"), nb::arg("callbacks"),
             "Continues the rows of data.valid; a JSON object each, null where the user ended it before, and whether.");
}

}  // namespace finetune::python
