"""Coming from postscreen: what a main.cf says about strangers, in the words of config.toml.

reading             the files, read                              -> postscreen
postscreen          the translation, parameter by parameter      -> all below
dnsbl_sites         postscreen_dnsbl_sites as [[dnslist]]        -> reply_boxes
access_list         postscreen_access_list as [[list]]           -> first_match
no_counterpart      why the other parameters are not translated
page                the TOML that is printed, and the remarks
parameters          values in force: main.cf over Postfix's defaults   -> main_cf, expansion
"""
