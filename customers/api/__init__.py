"""The REST API of the domain: thin views over the models, QuerySets and services that the admin uses."""
