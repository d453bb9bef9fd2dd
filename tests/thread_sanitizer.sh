#!/usr/bin/env bash
# The tests in which threads meet (lanes, the thread that saves, readers of study.db, progress), under ThreadSanitizer, which
# stops at the first race. It cannot see into LibTorch, so lanes are stand-ins. From nothing it takes ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
tests=(core database disk_wait live_report progress round_cost saved_beside saves study)
cmake --preset tsan >/dev/null
ninja -C build-tsan "${tests[@]/#/test_}" test_study_state
export TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1${TSAN_OPTIONS:+ $TSAN_OPTIONS}"
# -R: it does not know where addresses lie that are drawn at random.
setarch -R tests/ctest.sh build-tsan -R "^($(IFS='|'; echo "${tests[*]}"))\$"
# Of the states that are saved and gone on with two with two lanes; all of them take minutes.
setarch -R build-tsan/test_study_state --gtest_brief=1 --gtest_filter='*random_pbt_2_1:*random_asha_promotion_2_1'
