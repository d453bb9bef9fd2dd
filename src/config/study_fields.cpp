#include "config/field_makers.h"
#include "config/sections.h"
#include "core/database_url.h"

namespace finetune {
namespace {

// Printed without its password: what is printed is read by others.
Field url_field() {
  const std::string key = "study.url";
  Field field = optional_text_field(key,
                                    "PostgreSQL database that holds the study instead of study.db, and that several "
                                    "processes may share: postgresql://USER@HOST/DATABASE",
                                    FINETUNE_AT(study.url));
  field.set = [key, set = field.set](RunConfig& c, const ConfigNode& n) {
    set(c, n);
    if (!c.study.url) return;
    if (const std::string problem = url_problem(*c.study.url); !problem.empty())
      throw bad_input("", key + " " + problem);
  };
  field.get = [](const RunConfig& c) -> std::optional<ConfigNode> {
    if (!c.study.url) return std::nullopt;
    return ConfigNode::of(without_password(*c.study.url));
  };
  return field;
}

Field worker_field() {
  Field field = whole_field("study.worker", "number of this process among those that share the study; given out by it",
                            FINETUNE_AT(study.worker), 0);
  field.get = [get = field.get](const RunConfig& c) { return c.study.url ? get(c) : std::nullopt; };
  return field;
}

}  // namespace

std::vector<Field> study_fields() {
  return {url_field(), worker_field()};
}

}  // namespace finetune
