"""What every resource of the API has in common: who may, what a page is, how an error reads.

The modules are imported one by one: a package that imports its views could not be asked by the settings.
"""
