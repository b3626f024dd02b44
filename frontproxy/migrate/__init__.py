"""Coming from postscreen: what a main.cf says about strangers, in the words of config.toml.

postscreen          the translation, parameter by parameter   -> all others
dnsbl_sites         postscreen_dnsbl_sites as [[dnslist]]     -> reply_boxes
access_list         postscreen_access_list as [[list]]        -> cidr_table, first_match
parameters          values in force: main.cf over Postfix's defaults   -> main_cf, expansion
page                the TOML that is printed, and the remarks
"""
