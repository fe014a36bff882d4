"""The programs and schemas that tests of the chart and of the image need, brought from packages by `make tools`."""
