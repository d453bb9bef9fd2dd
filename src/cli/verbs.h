// One function per verb; each returns the exit code. Errors are thrown (Error) and printed by main.
#pragma once

#include "cli/arguments.h"

namespace finetune {

int run_tune(const Arguments& arguments);
int run_train(const Arguments& arguments);
int run_eval(const Arguments& arguments);
int run_check(const Arguments& arguments);
int run_export(const Arguments& arguments);
int run_report(const Arguments& arguments);
int run_resume(const Arguments& arguments);
int run_demo(const Arguments& arguments);
int run_compare(const Arguments& arguments);

/// Any verb by name.
int run_verb(const Arguments& arguments);

}  // namespace finetune
