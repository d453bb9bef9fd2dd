// What a page has, in this order (page.cpp): each from facts to HTML, or "" where the facts say nothing of it. A new
// one is a file, its line here and its row in page.cpp.
#pragma once

#include <string>

#include "report/facts.h"

namespace finetune::html {

std::string winner_section(const ReportFacts& study);        ///< what is best, how sure that is, how to use it
std::string hints_section(const ReportFacts& study);         ///< what its user should know, with the evidence
std::string test_section(const ReportFacts& study);          ///< on data that no choice has seen
std::string cost_section(const ReportFacts& study);          ///< what it took, and what stopping saved
std::string profile_section(const ReportFacts& study);       ///< where the time went, part by part
std::string curves_section(const ReportFacts& study);        ///< over steps, with rungs and stops
std::string slices_section(const ReportFacts& study);        ///< the metric along each parameter
std::string importance_section(const ReportFacts& study);    ///< fANOVA and PED-ANOVA
std::string interactions_section(const ReportFacts& study);  ///< what two parameters do together
std::string timeline_section(const ReportFacts& study);      ///< trials over rounds
std::string correlation_section(const ReportFacts& study);   ///< whether stopping is safe here
std::string population_section(const ReportFacts& study);    ///< who descends from whom, and the schedule found
std::string ablation_section(const ReportFacts& study);      ///< from the default to the best, one change at a time
std::string samples_section(const ReportFacts& study);       ///< what base and best write
std::string trials_section(const ReportFacts& study);        ///< all of them
std::string provenance_section(const ReportFacts& study);    ///< versions, hashes, seeds

/// What other seeds and other validation examples say of the winner, as tables; "" where nothing was measured.
std::string confidence_tables(const ReportFacts& study);
/// Whether the trial is the best one.
bool is_best(const ReportFacts& study, std::size_t trial);
/// Which trials stand beside each other where parameters are compared, in words.
std::string compared_text(const ReportFacts& study);

}  // namespace finetune::html
