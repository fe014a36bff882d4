"""Links in messages that silence one alert."""
