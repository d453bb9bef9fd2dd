#include "cli/verbs.h"

#include <algorithm>
#include <utility>

namespace finetune {

Verb tune_verb();
Verb resume_verb();
Verb train_verb();
Verb eval_verb();
Verb generate_verb();
Verb check_verb();
Verb tokenize_verb();
Verb detokenize_verb();
Verb export_verb();
Verb report_verb();
Verb asktell_verb();
Verb serve_verb();
Verb compare_verb();
Verb demo_verb();
Verb doctor_verb();
Verb bench_verb();
Verb calibrate_verb();

std::vector<Verb> all_verbs() {
  return {tune_verb(),     resume_verb(),     train_verb(),  eval_verb(),   generate_verb(), check_verb(),
          tokenize_verb(), detokenize_verb(), export_verb(), report_verb(), asktell_verb(),  serve_verb(),
          compare_verb(),  demo_verb(),       doctor_verb(), bench_verb(),  calibrate_verb()};
}

int run_verb(const std::string& name, Arguments arguments) {
  const std::vector<Verb> verbs = all_verbs();
  arguments.verb = *std::find_if(verbs.begin(), verbs.end(), [&](const Verb& verb) { return verb.name == name; });
  return arguments.verb.run(arguments);
}

}  // namespace finetune
