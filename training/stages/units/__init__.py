"""The stages of speech units: a quantizer, the units of utterances and of pairs, and how much of them is chance.

In: utterances or spoken pairs, an encoder by name and how its frames are clustered, or units from elsewhere. Out: a
`SpeechUnitModel` or what stands in its place, shards of units beside those of the audio, and their quality.
"""
