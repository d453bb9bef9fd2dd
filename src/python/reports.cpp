#include "python/reports.h"

#include <array>
#include <chrono>
#include <string_view>

#include "core/error.h"
#include "core/text.h"
#include "python/values.h"

namespace finetune::python {
namespace {

constexpr std::array kActions = {Action::Do::stop, Action::Do::pause, Action::Do::resume, Action::Do::change,
                                 Action::Do::copy};

Action::Do action_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Action::Do what : kActions) {
    if (name == to_text(what)) return what;
    names.emplace_back(to_text(what));
  }
  throw bad_input("", "on_step: do is \"" + name + "\"; possible are " + join(names, ", ") + did_you_mean(name, names));
}

std::int64_t id_of(nb::handle value, const char* field) {
  std::int64_t id = -1;
  if (PyBool_Check(value.ptr()) || !nb::try_cast(value, id) || id < 0)
    throw bad_input("", std::string("on_step: ") + field + " must be a trial's id, not " + nb::repr(value).c_str());
  return id;
}

Action action_from(nb::handle entry) {
  if (!nb::isinstance<nb::dict>(entry))
    throw bad_input(
        "", std::string("on_step returns a list of {\"id\": ..., \"do\": ...}, not of ") + nb::repr(entry).c_str());
  const auto fields = nb::borrow<nb::dict>(entry);
  if (!fields.contains("id") || !fields.contains("do"))
    throw bad_input("", std::string("on_step: id or do is missing in ") + nb::repr(entry).c_str());
  Action action;
  for (const auto& [key, value] : fields) {
    const std::string name = nb::str(key).c_str();
    if (name == "id")
      action.trial = {id_of(value, "id")};
    else if (name == "do")
      action.what = action_named(nb::str(value).c_str());
    else if (name == "params")
      action.params = params_from(value, "on_step: params");
    else if (name == "from")
      action.from = {id_of(value, "from")};
    else if (name == "reason")
      action.reason = nb::str(value).c_str();
    else
      throw bad_input("", "on_step: unknown field " + name + "; possible are id, do, params, from, reason");
  }
  if (action.what == Action::Do::change && action.params.empty())
    throw bad_input("", "on_step: change needs params: those that differ");
  if (action.what == Action::Do::copy && action.from.value < 0)
    throw bad_input("", "on_step: copy needs from, the trial whose weights are taken");
  return action;
}

nb::object field_of(const Report& report, std::string_view name) {
  if (name == "id") return nb::int_(report.trial.value);
  if (name == "step") return nb::int_(report.step);
  if (name == "value") return nb::cast(report.metric);
  if (name == "train_loss") return nb::cast(report.train_loss);
  if (name == "gradient_norm") return nb::cast(report.gradient_norm);
  if (name == "tokens") return nb::int_(report.tokens);
  throw nb::key_error(std::string(name).c_str());
}

std::string text_of(const Report& report) {
  return std::string("Report(id=") + std::to_string(report.trial.value) + ", step=" + std::to_string(report.step) +
         ", value=" + nb::repr(nb::cast(report.metric)).c_str() +
         ", train_loss=" + nb::repr(nb::cast(report.train_loss)).c_str() + ")";
}

nb::object iterator_of(const Reports& reports) {
  nb::list list;
  for (std::size_t i = 0; i < reports.rows.size(); ++i) list.append(reports.objects->of(i, reports.rows[i]));
  return nb::iter(list);
}

std::size_t index_in(const Reports& reports, std::int64_t i) {
  const auto size = static_cast<std::int64_t>(reports.rows.size());
  if (i < -size || i >= size) throw nb::index_error("there are not so many reports");
  return static_cast<std::size_t>(i < 0 ? i + size : i);
}

}  // namespace

nb::object ReportObjects::of(std::size_t place, const Report& report) {
  if (place >= objects_.size()) objects_.resize(place + 1);
  nb::object& object = objects_[place];
  const bool is_kept = object.is_valid() && Py_REFCNT(object.ptr()) > 1;
  if (object.is_valid() && !is_kept)
    *nb::inst_ptr<Report>(object) = report;
  else
    object = nb::cast(report);
  return object;
}

std::vector<Action> actions_from(nb::handle answer, const CheckAction& check) {
  std::vector<Action> actions;
  if (answer.is_none()) return actions;
  if (!nb::isinstance<nb::iterable>(answer) || nb::isinstance<nb::dict>(answer) || nb::isinstance<nb::str>(answer))
    throw bad_input("", std::string("on_step returns a list of {\"id\": ..., \"do\": ...} or None, not ") +
                            nb::repr(answer).c_str());
  for (const nb::handle entry : nb::borrow<nb::iterable>(answer)) {
    actions.push_back(action_from(entry));
    check(actions.back());
  }
  return actions;
}

// Seconds that one call of a callback takes with everything around it, as a study makes it: for the test of that cost.
static double measure_on_step(const nb::object& on_step, std::size_t trials, std::size_t calls) {
  using Clock = std::chrono::steady_clock;
  std::vector<Report> rows(trials);
  for (std::size_t i = 0; i < trials; ++i)
    rows[i] = {.trial = {static_cast<std::int64_t>(i)}, .step = 1, .metric = 0.5};
  const auto objects = std::make_shared<ReportObjects>();
  const nb::gil_scoped_release others;
  const auto started = Clock::now();
  for (std::size_t i = 0; i < calls; ++i) {
    const nb::gil_scoped_acquire gil;
    actions_from(on_step(Reports{rows, objects}), [](const Action&) {});
  }
  return std::chrono::duration<double>(Clock::now() - started).count() / static_cast<double>(calls);
}

void bind_reports(nb::module_& module) {
  module.def("measure_on_step", measure_on_step, nb::arg("on_step"), nb::arg("trials"), nb::arg("calls"),
             "Seconds a call of on_step takes with everything around it, for the test of that cost.");
  nb::class_<Report>(module, "Report",
                     "What a trial says after a step. Fields can be read as attributes or as report[\"value\"].")
      .def_prop_ro(
          "id", [](const Report& r) { return r.trial.value; }, "number of the trial, from 0")
      .def_ro("step", &Report::step, "optimizer steps done, 1-based")
      .def_ro("value", &Report::metric, "tune.metric on validation data; None where it was not evaluated")
      .def_ro("train_loss", &Report::train_loss, "of this step's batch, before its update")
      .def_ro("gradient_norm", &Report::gradient_norm, "before clipping")
      .def_ro("tokens", &Report::tokens, "trained by this trial so far")
      .def("__getitem__", [](const Report& r, const std::string& name) { return field_of(r, name); })
      .def("__repr__", text_of);
  nb::class_<Reports>(module, "Reports", "The reports of all trials of a round, sorted by id: a sequence of Report.")
      .def("__len__", [](const Reports& all) { return all.rows.size(); })
      .def("__getitem__",
           [](const Reports& all, std::int64_t i) {
             const std::size_t place = index_in(all, i);
             return all.objects->of(place, all.rows[place]);
           })
      .def("__iter__", iterator_of);
}

}  // namespace finetune::python
