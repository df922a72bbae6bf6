/* Shows the form again, as it is filled, with what another environment offers. */
"use strict";
document.addEventListener("change", function (event) {
  if (!event.target.matches("select[data-look]")) { return; }
  const mark = document.createElement("input");
  mark.type = "hidden";
  mark.name = "_look";
  mark.value = "1";
  event.target.form.append(mark);
  event.target.form.submit();
});
