"use strict";
// The chooser of visits offers those of the chosen customer.
{
  const $ = django.jQuery;
  $.ajaxPrefilter(request => {
    const customer = $("#id_customer").val();
    if (customer && /(^|&)field_name=visit(&|$)/.test(request.data)) request.data += `&customer__id__exact=${customer}`;
  });
  // Not "change", which the admin triggers when the page is loaded.
  $(() => $("#id_customer").on("select2:select select2:clear", () => $("#id_visit").val(null).trigger("change")));
}
