"""One publishable `evaluate` folder per metric; [`evoslm.metric_path`] finds them."""
