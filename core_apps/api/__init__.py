"""What all resources of the API share: permissions, pagination, errors.

Import the modules one by one: the settings name some of them, and views cannot be imported that early.
"""
