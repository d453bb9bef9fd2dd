// Pages to be looked at: writes NAME.html of every made study, and of one with a thousand trials, into a folder.
//   write_pages FOLDER
#include <fstream>
#include <iostream>

#include "report/made_studies.h"

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "write_pages FOLDER\n";
    return 2;
  }
  using namespace finetune;
  auto studies = testing::made_studies();
  studies.emplace_back("thousand", testing::made_study(1000));
  for (const auto& [name, study] : studies) {
    std::ofstream file(std::string(arguments[1]) + "/" + name + ".html");
    file << report_html(study);
    if (!file.flush()) return 1;
  }
  return 0;
}
