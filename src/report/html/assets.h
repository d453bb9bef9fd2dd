// The page's style sheet and script: page.css and page.js as they lie beside this file.
#pragma once

namespace finetune::html {

extern const char* const kStyle;
extern const char* const kScript;

}  // namespace finetune::html
