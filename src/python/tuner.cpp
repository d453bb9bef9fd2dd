#include "cli/asktell.h"
#include "python/bindings.h"
#include "python/words.h"
#include "tuners/asktell/session.h"

namespace finetune::python {

void bind_tuner(nb::module_& module) {
  nb::class_<AskTellSession>(module, "AskTell", "The tuner as a conversation: a line of JSON in, a line of JSON out.")
      .def(
          "__init__",
          [](AskTellSession* self, const std::string& file, const std::string& json, const nb::object& say) {
            AskTellStart start = start_asktell(read_config(file, json, {}, {}, {.asktell = true}));
            new (self) AskTellSession(std::move(start.setup));
            if (say.is_none()) return;
            for (const std::string& line : start.notes) say(in_words_of_python(line) + "\n");
          },
          nb::arg("file"), nb::arg("config"), nb::arg("say").none())
      .def(
          "answer", [](AskTellSession& self, const std::string& line) { return self.answer(line); }, nb::arg("line"),
          nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace finetune::python
